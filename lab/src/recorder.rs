//! What Docker is asked by any vethwatch that a test starts: `GET`, and nothing else.
//!
//! The vethwatch reaches the engine through a socket of the test's process, which looks at each request before it passes it on.
//! Anything else than a plain `GET` ends the test at once, whatever it is about.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The socket used when nothing says otherwise.
const USUAL_SOCKET: &str = "/var/run/docker.sock";
/// Around the process's number in the name of its own.
const NAME: &str = "vw-docker-";
const END: &str = ".sock";
/// What a failed test ends with.
const FAILED: i32 = 101;
/// The longest request.
const LONGEST: usize = 64 << 10;

static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();

/// One for all of the test's process.
#[derive(Debug)]
struct Recorder {
    path: PathBuf,
    asked: Mutex<Vec<String>>,
}

/// Where a vethwatch reaches the engine that the `docker` command of this process reaches, in the form of `DOCKER_HOST`. Absent
/// where that one is not at a Unix socket, or has a name of a Docker context.
#[must_use]
pub fn docker_host() -> Option<String> {
    let recorder = RECORDER.get_or_init(|| {
        let engine = engine()?;
        Recorder::start(engine)
            .inspect_err(|error| eprintln!("what Docker is asked is not looked at: {error}"))
            .ok()
    });
    recorder.as_ref().map(|recorder| format!("unix://{}", recorder.path.display()))
}

/// The first lines of what was asked so far.
#[must_use]
pub fn asked_of_docker() -> Vec<String> {
    RECORDER.get().and_then(Option::as_ref).map(|recorder| recorder.asked().clone()).unwrap_or_default()
}

/// The engine's socket.
fn engine() -> Option<PathBuf> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match set("DOCKER_HOST") {
        Some(host) => host.strip_prefix("unix://").map(PathBuf::from),
        None if set("DOCKER_CONTEXT").is_some() => None,
        None => Some(USUAL_SOCKET.into()),
    }
}

impl Recorder {
    fn start(engine: PathBuf) -> io::Result<Self> {
        let folder = std::env::temp_dir();
        remove_leftovers(&folder);
        let path = folder.join(format!("{NAME}{}{END}", std::process::id()));
        let listener = UnixListener::bind(&path)?;
        // SAFETY: the function takes nothing, and may run at any time.
        unsafe { libc::atexit(remove) };
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // An engine that is not there takes no connection either.
                let Ok(engine) = UnixStream::connect(&engine) else { continue };
                std::thread::spawn(move || pass(client, engine));
            }
        });
        Ok(Self { path, asked: Mutex::default() })
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the sockets of processes that were killed.
fn remove_leftovers(folder: &Path) {
    let pid = |name: &str| name.strip_prefix(NAME)?.strip_suffix(END)?.parse::<u32>().ok();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let of = entry.file_name().to_str().and_then(pid);
        if of.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Another test may do so too.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Statics are not dropped.
extern "C" fn remove() {
    if let Some(Some(recorder)) = RECORDER.get() {
        // It may be gone with its folder.
        let _ = std::fs::remove_file(&recorder.path);
    }
}

/// Passes on what both say, until either ends.
fn pass(mut client: UnixStream, mut engine: UnixStream) -> io::Result<()> {
    let (mut answers, mut back) = (engine.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        // Either may end at any time.
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let (mut requests, mut part) = (Requests::default(), vec![0; 8 << 10]);
    loop {
        // An end that is not orderly is one too.
        let said = client.read(&mut part).unwrap_or_default();
        if said == 0 {
            return engine.shutdown(Shutdown::Both);
        }
        match requests.take(&part[..said]) {
            Ok(asked) => {
                if let Some(Some(recorder)) = RECORDER.get() {
                    recorder.asked().extend(asked);
                }
            }
            Err(other) => {
                eprintln!("vethwatch asked Docker for something else than GET: {other:?}");
                std::process::exit(FAILED);
            }
        }
        engine.write_all(&part[..said])?;
    }
}

/// What one connection says, read as requests without a body.
#[derive(Debug, Default)]
struct Requests {
    unread: Vec<u8>,
}

impl Requests {
    /// First lines of the requests that end with these bytes, or what is no `GET`.
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<String>, String> {
        self.unread.extend(bytes);
        let mut asked = Vec::new();
        while let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
            let head: Vec<u8> = self.unread.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            asked.push(plain_get(&head).ok_or(head)?);
        }
        // What comes after a request is another one: a body would not begin like that.
        let begins = self.unread.iter().zip(b"GET /").all(|(byte, expected)| byte == expected);
        if begins && self.unread.len() <= LONGEST {
            Ok(asked)
        } else {
            Err(String::from_utf8_lossy(&self.unread).into_owned())
        }
    }
}

/// The first line of a request, if it is a `GET` that sends nothing and stays HTTP.
fn plain_get(head: &str) -> Option<String> {
    let mut lines = head.lines();
    let first = lines.next().filter(|line| line.starts_with("GET /") && line.ends_with(" HTTP/1.1"))?;
    let mut names = lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_ascii_lowercase());
    let is_plain = |name: String| !matches!(&*name, "content-length" | "transfer-encoding" | "upgrade");
    names.all(is_plain).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Requests;

    const GET: &str = "GET /events?since=1 HTTP/1.1\r\nHost: docker\r\n\r\n";

    #[test]
    fn requests_are_told_however_they_are_cut() {
        let two = GET.repeat(2);
        for cut in 0..two.len() {
            let mut requests = Requests::default();
            let (first, rest) = two.split_at(cut);
            let mut asked = requests.take(first.as_bytes()).unwrap();
            asked.extend(requests.take(rest.as_bytes()).unwrap());
            assert_eq!(asked, ["GET /events?since=1 HTTP/1.1"; 2], "cut at {cut}");
        }
    }

    #[test]
    fn anything_but_a_get_without_a_body_is_told() {
        for other in [
            "POST /containers/create HTTP/1.1\r\n\r\n",
            "P",
            "get / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nupgrade: tcp\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\nbody",
            &format!("{GET}DELETE /containers/x HTTP/1.1\r\n\r\n"),
            &format!("GET /{}", "x".repeat(70_000)),
        ] {
            assert!(Requests::default().take(other.as_bytes()).is_err(), "{other:.80}");
        }
    }
}
