//! Keys in files of the test's own.

use super::{KeyFiles, Keys};
use crate::settings::Tls;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const TOKEN: &str = "0123456789abcdef";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vw-keys-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let folder = Self(path);
        folder.new_pair();
        folder.write("token", TOKEN, 0o600);
        folder
    }

    /// Puts a file in its place at once, as who renews certificates does.
    fn write(&self, name: &str, text: &str, mode: u32) {
        let new = self.0.join("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(new, self.0.join(name)).unwrap();
    }

    fn new_pair(&self) {
        let (certificate, key) = pair();
        self.write("certificate.pem", &certificate, 0o644);
        self.write("key.pem", &key, 0o640);
    }

    fn files(&self) -> KeyFiles {
        let tls = Tls { certificate: self.0.join("certificate.pem"), key: self.0.join("key.pem") };
        KeyFiles { tls: Some(tls), token: Some(self.0.join("token")) }
    }

    #[track_caller]
    fn refused(&self, expected: &str) {
        let error = format!("{:#}", self.files().read().unwrap_err());
        assert!(error.contains(expected) && error.contains(&*self.0.to_string_lossy()), "{error}");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn pair() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

#[test]
fn keys_are_read() {
    let folder = Folder::new("read");
    let Keys { tls, token } = folder.files().read().unwrap();
    assert!(tls.is_some() && token.is_some());
    let none = KeyFiles { tls: None, token: None }.read().unwrap();
    assert!(none.tls.is_none() && none.token.is_none());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let folder = Folder::new("wrong");
    folder.write("token", "short", 0o600);
    folder.refused("token has no token: its first line must have");
    folder.write("token", TOKEN, 0o604);
    folder.refused("token cannot be used: its mode is 604: others must not have it (chmod o= FILE)");
    fs::remove_file(folder.0.join("token")).unwrap();
    folder.refused("token cannot be used: No such file");
    fs::create_dir(folder.0.join("token")).unwrap();
    folder.refused("token cannot be used: it is no regular file");
    fs::remove_dir(folder.0.join("token")).unwrap();
    folder.write("token", &"x".repeat((1 << 20) + 1), 0o600);
    folder.refused("token cannot be used: it is longer than 1048576 bytes");

    folder.write("key.pem", &pair().1, 0o600);
    folder.refused("take the certificate and its key");
    folder.write("key.pem", &pair().0, 0o600);
    folder.refused("read the key");
    folder.write("key.pem", "", 0o644);
    folder.refused("key.pem cannot be used: its mode is 644");
    folder.write("key.pem", &pair().1, 0o600);
    folder.write("certificate.pem", "no PEM", 0o644);
    folder.refused("there is no certificate in PEM in the first");
}

#[test]
fn files_are_read_again_when_they_have_changed() {
    let folder = Folder::new("new");
    let (files, paths) =
        (folder.files(), ["certificate.pem", "key.pem", "token"].map(|name| folder.0.join(name)));
    let look = |old| files.look(&paths, old);
    let (first, read) = look(None);
    assert!(read.is_some_and(|read| read.is_ok()));
    let (same, read) = look(Some(first.clone()));
    assert!(same == first && read.is_none());
    folder.write("certificate.pem", &pair().0, 0o644);
    let (wrong, read) = look(Some(first));
    assert!(read.is_some_and(|read| read.is_err()), "a certificate of another key");
    // What is wrong is said once.
    assert!(look(Some(wrong.clone())).1.is_none());
    folder.new_pair();
    assert!(look(Some(wrong)).1.is_some_and(|read| read.is_ok()));
}
