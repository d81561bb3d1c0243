//! Metrics over TLS, for who knows the token: with `curl` as client, and with clients that mean harm.

use anyhow::{Context, Result, ensure};
use lab::{Finished, Running, Vethwatch, finish, wait_for};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// How long an answer may take, whatever others do. A machine may stand still for seconds, but a stuck client that is waited
/// for is there for ten.
const SOON: Duration = Duration::from_secs(7);
/// More clients than may be there at once.
const CLIENTS: usize = 100;
const TOKEN: &str = "c2VjcmV0LWFuZC1sb25n";
/// The begin of what a client of TLS says: that more will come.
const HALF_A_HELLO: [u8; 6] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01];

/// Keys in a folder of the test's own.
struct Keys(PathBuf);

impl Keys {
    fn new(name: &str) -> Result<Self> {
        let keys = Self(std::env::temp_dir().join(format!("vw-metrics-keys-{}-{name}", std::process::id())));
        fs::create_dir(&keys.0)?;
        keys.renew()?;
        keys.write("token", TOKEN, 0o600)?;
        Ok(keys)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// Puts a file in its place at once, as who renews certificates does.
    fn write(&self, name: &str, text: &str, mode: u32) -> Result<()> {
        let new = self.0.join("new");
        fs::write(&new, text)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
        Ok(fs::rename(new, self.0.join(name))?)
    }

    /// A new certificate and its key.
    fn renew(&self) -> Result<()> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        self.write("key.pem", &signing_key.serialize_pem(), 0o600)?;
        self.write("certificate.pem", &cert.pem(), 0o644)
    }

    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = ["agent", "--metrics-listen", "0.0.0.0:0"].map(str::to_owned).into();
        for (option, file) in
            [("tls-certificate", "certificate.pem"), ("tls-key", "key.pem"), ("token-file", "token")]
        {
            words.extend([format!("--metrics-{option}"), self.path(file)]);
        }
        words
    }

    /// An agent with these keys, and its port.
    fn agent(&self) -> Result<(Running, u16)> {
        let words = self.words();
        let running = vethwatch().start(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        let port = wait_for("the address of the metrics", PATIENCE, || {
            let said = running.errors();
            let port = said.split_once("https://0.0.0.0:").and_then(|(_, behind)| behind.split_once('/'));
            port.map(|(port, _)| Ok(port.parse()?)).transpose()
        })?;
        Ok((running, port))
    }

    /// Asks with curl, which trusts this certificate; the headers and what was answered.
    fn ask(&self, port: u16, path: &str, more: &[&str]) -> Result<Finished> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "10", "--cacert"])
            .arg(self.path("certificate.pem"))
            .args(more)
            .arg(format!("https://127.0.0.1:{port}{path}"));
        finish(&mut curl, PATIENCE)
    }

    #[track_caller]
    fn answered(&self, port: u16, path: &str, more: &[&str], expected: &str) -> Result<()> {
        let answer = self.ask(port, path, more)?;
        ensure!(answer.stdout.starts_with(expected), "{path} {more:?}: {answer:?}");
        Ok(())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[test]
fn metrics_are_for_who_knows_the_token_and_the_keys_can_change() -> Result<()> {
    let keys = Keys::new("change")?;
    let (running, port) = keys.agent()?;
    let right = bearer(TOKEN);
    for version in ["--tlsv1.3", "--tls-max=1.2"] {
        let (version, limit) = version.split_once('=').unwrap_or((version, ""));
        let words: Vec<&str> =
            [version, limit, "--header", &right].into_iter().filter(|word| !word.is_empty()).collect();
        keys.answered(port, "/metrics", &words, "HTTP/1.1 200 OK\r\n")?;
    }
    keys.answered(port, "/healthz", &[], "HTTP/1.1 200 OK\r\n")?;
    for wrong in [vec![], vec!["--header".to_owned(), bearer("c2VjcmV0LWFuZC1sb25h")]] {
        let words: Vec<&str> = wrong.iter().map(String::as_str).collect();
        let answer = keys.ask(port, "/metrics", &words)?.stdout;
        ensure!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
        ensure!(
            answer.contains("www-authenticate: Bearer\r\n") && !answer.contains("vethwatch_"),
            "{answer}"
        );
    }

    // Another certificate, with the wrong key at first.
    let old = fs::read_to_string(keys.path("key.pem"))?;
    keys.renew()?;
    let new = fs::read_to_string(keys.path("key.pem"))?;
    let trusted = |keys: &Keys| -> Result<bool> { Ok(keys.ask(port, "/healthz", &[])?.status.success()) };
    wait_for("the new certificate", PATIENCE, || Ok(trusted(&keys)?.then_some(())))?;
    keys.write("key.pem", &old, 0o600)?;
    wait_for("a word about the wrong key", PATIENCE, || {
        Ok(running.errors().contains("new keys of the metrics are not used, the old stay").then_some(()))
    })?;
    ensure!(trusted(&keys)?, "the keys in force do not stay");
    keys.write("key.pem", &new, 0o600)?;
    keys.write("token", "another-token-that-is-long", 0o600)?;
    let right = bearer("another-token-that-is-long");
    wait_for("the new token", PATIENCE, || {
        let answer = keys.ask(port, "/metrics", &["--header", &right])?;
        Ok(answer.stdout.starts_with("HTTP/1.1 200").then_some(()))
    })?;
    end(running)
}

fn end(running: Running) -> Result<()> {
    running.signal(libc::SIGTERM)?;
    let (code, _) = running.end()?;
    ensure!(code == Some(0), "it ended with {code:?}");
    Ok(())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn who_speaks_no_tls_or_does_not_go_on_harms_nobody() -> Result<()> {
    let keys = Keys::new("harm")?;
    let (running, port) = keys.agent()?;
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    // No HTTP without TLS: the connection ends, with no more than TLS's own word.
    let mut plain = TcpStream::connect(at)?;
    plain.set_read_timeout(Some(SOON))?;
    plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")?;
    let mut answer = Vec::new();
    if let Err(error) = plain.read_to_end(&mut answer) {
        ensure!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
    }
    ensure!(answer.len() < 16 && !answer.starts_with(b"HTTP"), "{answer:?}");

    let mut stuck = Vec::new();
    for number in 0..CLIENTS {
        let mut client = TcpStream::connect(at)?;
        if number % 2 == 0 {
            client.write_all(&HALF_A_HELLO)?;
        }
        stuck.push(client);
    }
    let asked = Instant::now();
    keys.answered(port, "/metrics", &["--header", &bearer(TOKEN)], "HTTP/1.1 200 OK\r\n")?;
    ensure!(asked.elapsed() < SOON, "stuck handshakes delay others: {:?}", asked.elapsed());
    // The last of them loses its connection too, in time.
    let last = stuck.last_mut().context("clients")?;
    last.set_read_timeout(Some(PATIENCE))?;
    ensure!(last.read(&mut [0; 1]).unwrap_or(0) == 0, "it said something to who said nothing");
    end(running)
}

#[test]
fn keys_that_cannot_be_used_are_told_before_anything_is_attached() -> Result<()> {
    let keys = Keys::new("wrong")?;
    let refused = |words: &[String], expected: &str| -> Result<()> {
        let ended = vethwatch().finish(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        ensure!(ended.status.code() == Some(2) && ended.stderr.contains(expected), "{ended:?}");
        Ok(())
    };
    keys.write("token", TOKEN, 0o644)?;
    refused(&keys.words(), "token cannot be used: its mode is 644: others must not have it (chmod o= FILE)")?;
    keys.write("token", "short", 0o600)?;
    refused(&keys.words(), "token has no token: its first line must have 16 to 1024 characters")?;
    fs::remove_file(keys.path("token"))?;
    refused(&keys.words(), "token cannot be used: No such file or directory")?;
    keys.write("token", TOKEN, 0o600)?;
    keys.write("key.pem", "no key", 0o600)?;
    refused(&keys.words(), "key.pem cannot be used: read the key")?;
    let without_token = &keys.words()[..7];
    refused(without_token, "give --metrics-tls-certificate, --metrics-tls-key and --metrics-token-file")?;
    refused(&keys.words()[..5], "--metrics-tls-certificate and --metrics-tls-key belong together")
}
