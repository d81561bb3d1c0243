//! Where Docker is: a setting, `DOCKER_HOST`, the current Docker context, or the usual socket, in this order.
//!
//! Contexts are read as the Docker client keeps them: `$DOCKER_CONFIG` (else `~/.docker`) holds `config.json` with
//! `currentContext`, and one `contexts/meta/<digest>/meta.json` for each context. The digest is of the name; looking
//! for the file that says the name needs no digest.

use super::way::Way;
use crate::model::SafeText;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The socket used when nothing says otherwise.
const USUAL_SOCKET: &str = "/var/run/docker.sock";
/// The port of `tcp://` addresses that name none.
const USUAL_PORT: u16 = 2375;
/// The most contexts that are looked at.
const MOST_CONTEXTS: usize = 256;
/// The most bytes of a file of the Docker client that are read.
const LONGEST_FILE: u64 = 1 << 20;

/// An address Docker's API can be reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A Unix socket.
    Unix(PathBuf),
    /// Plain HTTP at `name:port`.
    Tcp(String),
    /// Wherever somebody else connects to, who calls it so.
    By(Way, String),
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(address) => write!(formatter, "tcp://{address}"),
            Self::By(_, name) => formatter.write_str(name),
        }
    }
}

/// Why no address could be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum HostError {
    /// The address has a form that is not spoken here.
    #[error("{0} is not supported: name a unix:// socket or a plain tcp:// address of this host's Docker")]
    Unsupported(SafeText),
    /// The context that is to be used does not exist.
    #[error("Docker context {0} does not exist")]
    NoSuchContext(SafeText),
    /// The context has no Docker endpoint.
    #[error("Docker context {0} names no Docker host")]
    NoEndpoint(SafeText),
}

/// Finds the address by the environment of this process.
///
/// # Errors
/// As [`resolve`].
pub(super) fn find(setting: Option<&str>) -> Result<Host, HostError> {
    resolve(setting, |name| std::env::var(name).ok())
}

/// The Unix socket at which Docker is, if it is at one.
#[must_use]
pub fn socket(setting: Option<&str>) -> Option<PathBuf> {
    match find(setting) {
        Ok(Host::Unix(path)) => Some(path),
        Ok(Host::Tcp(_) | Host::By(..)) | Err(_) => None,
    }
}

/// Finds the address. `setting` is the user's own; `variable` reads an environment variable.
///
/// # Errors
/// When the address has an unsupported form, or the current context cannot be used.
pub(super) fn resolve(
    setting: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Host, HostError> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(address) = setting {
        return parse(address);
    }
    if let Some(address) = variable("DOCKER_HOST") {
        let host = parse(&address)?;
        let wants_tls = matches!(host, Host::Tcp(_)) && variable("DOCKER_TLS_VERIFY").is_some();
        return if wants_tls {
            Err(HostError::Unsupported(SafeText::new("DOCKER_TLS_VERIFY")))
        } else {
            Ok(host)
        };
    }
    let folder = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")));
    let context = variable("DOCKER_CONTEXT").or_else(|| current_context(folder.as_deref()?));
    match context.as_deref() {
        None | Some("default" | "") => Ok(Host::Unix(USUAL_SOCKET.into())),
        Some(name) => parse(&address_of_context(folder.as_deref(), name)?),
    }
}

/// Reads an address as Docker writes it.
fn parse(address: &str) -> Result<Host, HostError> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("tcp", address));
    match scheme {
        "unix" if rest.is_empty() => Ok(Host::Unix(USUAL_SOCKET.into())),
        "unix" => Ok(Host::Unix(rest.into())),
        "tcp" | "http" => {
            let authority = rest.split('/').next().filter(|authority| !authority.is_empty());
            authority.map(with_port).ok_or_else(|| HostError::Unsupported(SafeText::new(address)))
        }
        _ => Err(HostError::Unsupported(SafeText::new(address))),
    }
}

/// A TCP address with its port.
fn with_port(authority: &str) -> Host {
    let names_a_port = authority.rsplit_once(':').is_some_and(|(name, port)| {
        port.parse::<u16>().is_ok() && (!name.contains(':') || name.ends_with(']'))
    });
    Host::Tcp(if names_a_port { authority.to_owned() } else { format!("{authority}:{USUAL_PORT}") })
}

/// `config.json`, as far as it matters here.
#[derive(Deserialize)]
struct ClientConfig {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

/// A context's `meta.json`.
#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints", default)]
    endpoints: ContextEndpoints,
}

/// The endpoints of a context; others than Docker's do not matter.
#[derive(Default, Deserialize)]
struct ContextEndpoints {
    docker: Option<ContextEndpoint>,
}

/// Docker's endpoint in a context.
#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

/// The context chosen by `docker context use`, if any.
fn current_context(folder: &Path) -> Option<String> {
    read_json::<ClientConfig>(&folder.join("config.json"))?.current_context
}

/// The address a context names.
fn address_of_context(folder: Option<&Path>, name: &str) -> Result<String, HostError> {
    let missing = || HostError::NoSuchContext(SafeText::new(name));
    let folders =
        std::fs::read_dir(folder.ok_or_else(missing)?.join("contexts/meta")).map_err(|_| missing())?;
    let meta = folders
        .take(MOST_CONTEXTS)
        .filter_map(|entry| read_json::<ContextMeta>(&entry.ok()?.path().join("meta.json")))
        .find(|meta| meta.name == name)
        .ok_or_else(missing)?;
    let host = meta.endpoints.docker.and_then(|endpoint| endpoint.host).filter(|host| !host.is_empty());
    host.ok_or_else(|| HostError::NoEndpoint(SafeText::new(name)))
}

/// Reads a small JSON file; a file that cannot be read or makes no sense is no file.
fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(LONGEST_FILE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use std::fs;
    use std::path::Path;

    /// A folder of Docker's client, removed at the end.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str, config: &str, contexts: &[(&str, &str)]) -> Self {
            let path = std::env::temp_dir().join(format!("vw-inv-host-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("config.json"), config).unwrap();
            for (digest, meta) in contexts {
                let folder = path.join("contexts/meta").join(digest);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join("meta.json"), meta).unwrap();
            }
            Self(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    fn check(setting: Option<&str>, variables: &[(&str, &str)], expected: &str) {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let host = resolve(setting, variable).map_or_else(|error| error.to_string(), |host| host.to_string());
        assert_eq!(host, expected);
    }

    #[test]
    fn the_usual_socket_is_used_when_nothing_says_otherwise() {
        check(None, &[], "unix:///var/run/docker.sock");
        check(None, &[("DOCKER_HOST", ""), ("HOME", "/nonexistent")], "unix:///var/run/docker.sock");
        check(Some("unix://"), &[], "unix:///var/run/docker.sock");
    }

    #[test]
    fn a_setting_goes_before_docker_host_and_that_before_contexts() {
        let host = ("DOCKER_HOST", "tcp://10.0.0.1:1234");
        check(Some("unix:///a.sock"), &[host], "unix:///a.sock");
        check(None, &[host, ("DOCKER_CONTEXT", "other")], "tcp://10.0.0.1:1234");
    }

    #[test]
    fn tcp_addresses_get_docker_s_port_when_they_name_none() {
        check(Some("tcp://db-07"), &[], "tcp://db-07:2375");
        check(Some("db-07:99"), &[], "tcp://db-07:99");
        check(Some("http://db-07:99/"), &[], "tcp://db-07:99");
        check(Some("tcp://[::1]"), &[], "tcp://[::1]:2375");
        check(Some("tcp://[::1]:7"), &[], "tcp://[::1]:7");
    }

    #[test]
    fn an_unsupported_address_says_what_to_name_instead() {
        let todo = "is not supported: name a unix:// socket or a plain tcp:// address of this host's Docker";
        check(Some("ssh://root@db-07"), &[], &format!("ssh://root@db-07 {todo}"));
        check(Some("tcp://"), &[], &format!("tcp:// {todo}"));
        let tls = [("DOCKER_HOST", "tcp://db-07:2376"), ("DOCKER_TLS_VERIFY", "1")];
        check(None, &tls, &format!("DOCKER_TLS_VERIFY {todo}"));
        check(Some("a\x1b[31m://x"), &[], &format!("a\\u{{1b}}[31m://x {todo}"));
    }

    const ROOTLESS: &str = r#"{"Name":"rootless","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/user/1000/docker.sock","SkipTLSVerify":false}}}"#;

    #[test]
    fn the_current_context_is_read_from_the_client_s_folder() {
        let folder = Folder::new(
            "current",
            r#"{"auths":{},"currentContext":"rootless"}"#,
            &[("12ab", "not json"), ("34cd", ROOTLESS)],
        );
        let config = ("DOCKER_CONFIG", folder.path());
        check(None, &[config], "unix:///run/user/1000/docker.sock");
        check(None, &[config, ("DOCKER_CONTEXT", "default")], "unix:///var/run/docker.sock");
        check(None, &[config, ("DOCKER_CONTEXT", "gone")], "Docker context gone does not exist");
    }

    #[test]
    fn a_context_is_found_below_the_home_folder() {
        let home = Folder::new("home", "{}", &[]);
        let docker = Path::new(home.path()).join(".docker/contexts/meta/1");
        fs::create_dir_all(&docker).unwrap();
        fs::write(docker.join("meta.json"), ROOTLESS).unwrap();
        let variables = [("HOME", home.path()), ("DOCKER_CONTEXT", "rootless")];
        check(None, &variables, "unix:///run/user/1000/docker.sock");
    }

    #[test]
    fn a_context_without_an_endpoint_says_so() {
        let folder =
            Folder::new("empty", r#"{"currentContext":"k"}"#, &[("1", r#"{"Name":"k","Endpoints":{}}"#)]);
        check(None, &[("DOCKER_CONFIG", folder.path())], "Docker context k names no Docker host");
    }
}
