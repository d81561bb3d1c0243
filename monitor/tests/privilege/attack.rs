//! A process that is confined as main is, and somebody else's by now: what it tries, and what comes of it.

use anyhow::{Context as _, Result, ensure};
use monitor::confine::{User, Wanted, confine};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use rustix::thread::CapabilitySet;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

const ALLOWED: &str = "/proc/sys/kernel/random/boot_id";
const DOCKER: &str = "/var/run/docker.sock";

/// The number of the error, or 0.
fn code<T>(result: io::Result<T>) -> i32 {
    result.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0)
}

/// The same of a plain system call.
fn called(result: libc::c_long) -> i32 {
    if result < 0 { code(Err::<(), _>(io::Error::last_os_error())) } else { 0 }
}

/// `bpf(2)` with so much of its attributes.
fn bpf(command: libc::c_long, attributes: &mut [u64; 16]) -> i32 {
    // SAFETY: the attributes are alive and as long as said; addresses inside are null or alive.
    called(unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size_of_val(attributes)) })
}

/// Tries everything; gives back what came of each.
fn attempts(namespace: RawFd, parent: i32, abroad: &Path) -> Vec<(&'static str, i32)> {
    let instructions: [u64; 2] = [0xb7, 0x95];
    let mut map = [2 | 4 << 32, 4 | 1 << 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let license = b"GPL\0";
    let mut program = [0; 16];
    program[0] = 3 | 2 << 32;
    program[1] = instructions.as_ptr() as u64;
    program[2] = license.as_ptr() as u64;
    let root = || File::open("/proc/1/mem");
    // SAFETY: plain system calls of this process alone, which ends after them.
    let plain = unsafe {
        [
            ("setns", called(libc::setns(namespace, libc::CLONE_NEWNET).into())),
            ("kill", called(libc::kill(parent, 0).into())),
            ("setuid", called(libc::setuid(0).into())),
            ("packet socket", called(libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).into())),
            (
                "mount",
                called(
                    libc::mount(c"none".as_ptr(), c"/".as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null())
                        .into(),
                ),
            ),
            ("ptrace", called(libc::ptrace(libc::PTRACE_ATTACH, parent, 0, 0))),
        ]
    };
    let own = [
        ("the file that it may read", code(fs::read(ALLOWED))),
        ("another file", code(File::open("/etc/hostname"))),
        ("a secret", code(File::open("/etc/shadow"))),
        ("a folder", code(fs::read_dir("/"))),
        ("a new file", code(File::create(abroad.join("new")))),
        ("removing", code(fs::remove_file(abroad.join("old")))),
        ("memory of others", code(root())),
        ("a program", code(std::process::Command::new("/bin/true").status())),
        ("a map", bpf(0, &mut map)),
        ("a program of the kernel", bpf(5, &mut program)),
        ("Docker", code(UnixStream::connect(DOCKER))),
        ("connecting by TCP", code(TcpStream::connect("127.0.0.1:9"))),
        ("listening by TCP", code(TcpListener::bind("127.0.0.1:0"))),
        ("UDP", code(UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", "127.0.0.1:9")))),
    ];
    own.into_iter().chain(plain).collect()
}

/// Runs them in a process that is confined first.
fn attacked(abroad: &Path) -> Result<BTreeMap<String, i32>> {
    let namespace = File::open("/proc/self/ns/net")?;
    let parent = i32::try_from(std::process::id())?;
    let (mut told, mut tell) = io::pipe()?;
    // SAFETY: the child has one thread, which allocates and writes, and ends without returning.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(told);
            let wanted =
                Wanted { user: User::least(), keep: CapabilitySet::empty(), readable: &[Path::new(ALLOWED)] };
            let confined = confine(&wanted);
            let mut text =
                format!("confined: {}\n", code(confined.map_err(|_| io::Error::from_raw_os_error(1))));
            for (what, code) in attempts(namespace.as_raw_fd(), parent, abroad) {
                text += &format!("{what}: {code}\n");
            }
            let written = tell.write_all(text.as_bytes());
            // SAFETY: ends this process at once, and nothing of the test's with it.
            unsafe { libc::_exit(i32::from(written.is_err())) }
        }
        ForkResult::Parent { child } => {
            drop(tell);
            let mut text = String::new();
            told.read_to_string(&mut text)?;
            waitpid(child, None)?;
            let read = |line: &str| {
                let (what, code) = line.split_once(": ").context("a line")?;
                Ok((what.to_owned(), code.parse()?))
            };
            text.lines().map(read).collect()
        }
    }
}

#[test]
fn a_process_confined_as_main_is_can_do_nothing_beyond_what_it_has_open() -> Result<()> {
    let abroad = std::env::temp_dir().join(format!("vw-privilege-{}", std::process::id()));
    fs::create_dir_all(&abroad)?;
    // Its user might, but it may not.
    fs::set_permissions(&abroad, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    fs::write(abroad.join("old"), "")?;
    let got = attacked(&abroad);
    let is_left = abroad.join("old").exists() && !abroad.join("new").exists();
    fs::remove_dir_all(&abroad)?;
    let got = got?;
    let refused = [libc::EACCES, libc::EPERM];
    for what in [
        "another file",
        "a secret",
        "a folder",
        "a new file",
        "removing",
        "memory of others",
        "a program",
        "a map",
        "a program of the kernel",
        "Docker",
        "setns",
        "kill",
        "setuid",
        "packet socket",
        "mount",
        "ptrace",
    ] {
        let code = got.get(what).with_context(|| format!("{what} was not tried: {got:?}"))?;
        ensure!(refused.contains(code), "{what}: {code}");
    }
    for what in ["confined", "the file that it may read"] {
        ensure!(got.get(what) == Some(&0), "{what}: {got:?}");
    }
    // From Linux 6.7 on; UDP from 7.2 on. What is left is said in docs/operations.md.
    let lacks_tcp = monitor::confine::limits().is_some_and(|lacking| lacking.contains("TCP"));
    for what in ["connecting by TCP", "listening by TCP"] {
        ensure!(lacks_tcp || got.get(what) == Some(&libc::EACCES), "{what}: {got:?}");
    }
    ensure!(is_left, "it changed what is not its own");
    Ok(())
}
