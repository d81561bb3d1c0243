//! TLS, from a certificate and its key.

use anyhow::{Context as _, Result, ensure};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// What is spoken over it.
const PROTOCOL: &[u8] = b"http/1.1";

/// TLS 1.2 and 1.3 with this certificate, and those that lead to its issuer, and its key; both are PEM.
///
/// # Errors
/// When one is not PEM or not what it should be, or they do not belong together.
pub(super) fn config(certificate: &[u8], key: &[u8]) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .context("read the certificate")?;
    ensure!(!chain.is_empty(), "there is no certificate in PEM in the first");
    let key = PrivateKeyDer::from_pem_slice(key).context("read the key")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choose versions of TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("take the certificate and its key")?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}
