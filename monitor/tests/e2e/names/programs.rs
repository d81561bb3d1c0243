//! A resolver, a client of it, and how they are run.

use anyhow::{Context, Result};
use lab::{Container, Running, Vethwatch, wait_for};
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Answers over UDP and TCP, IPv4 and IPv6, with its own address of the type that is asked for. Names that begin with `nx` there are
/// not, for those with `fail` it fails, `slow` takes a fifth of a second, `silent` has no answer, and over UDP the answer of `big`
/// is not whole.
pub(crate) const RESOLVER: &str = r"
import socket, struct, threading, time
own = {}
for family, record_type in (socket.AF_INET, 1), (socket.AF_INET6, 28):
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, family)[0][4][0]
        own[record_type] = socket.inet_pton(family, found)
    except OSError:
        pass
six = socket.has_dualstack_ipv6()
def answer(question, whole):
    name = question[13:]
    if name.startswith(b'silent'):
        return None
    if name.startswith(b'slow'):
        time.sleep(0.2)
    record_type = struct.unpack('>H', question[-4:-2])[0]
    address = own.get(record_type, b'')
    record = b'\xc0\x0c' + struct.pack('>HHIH', record_type, 1, 60, len(address)) + address
    code, records = (0, record) if address else (0, b'')
    if name.startswith(b'nx') or name.startswith(b'fail'):
        code, records = 3 if name.startswith(b'nx') else 2, b''
    if name.startswith(b'big') and not whole:
        code, records = 0x200, b''
    counts = struct.pack('>HHHHH', 0x8180 | code, 1, 1 if records else 0, 0, 0)
    return question[:2] + counts + question[12:] + records
def streams():
    family = socket.AF_INET6 if six else socket.AF_INET
    listener = socket.create_server(('', 53), family=family, dualstack_ipv6=six)
    while True:
        with listener.accept()[0] as it:
            while length := it.recv(2):
                said = answer(it.recv(*struct.unpack('>H', length)), True)
                it.sendall(struct.pack('>H', len(said)) + said)
threading.Thread(target=streams, daemon=True).start()
with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as it:
    if six:
        it.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    it.bind(('', 53))
    while True:
        question, who = it.recvfrom(4096)
        if said := answer(question, False):
            it.sendto(said, who)
";

/// Opens a connection to its first argument, and asks it for each other: over TCP those that begin with `tcp:`, all in one stream; for
/// an IPv6 address those with `six:`; `junk` is no message. Prints for each that is answered how many microseconds that took.
const CLIENT: &str = r"
import socket, struct, sys, time
def question(number, name):
    record_type = 28 if name.startswith('six:') else 1
    name = name.removeprefix('six:')
    labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.'))
    return struct.pack('>HHHHHH', number, 0x100, 1, 0, 0, 0) + labels + b'\0' + struct.pack('>HH', record_type, 1)
resolver = (sys.argv[1], 53)
stream = socket.create_connection(resolver)
it = socket.socket(stream.family, socket.SOCK_DGRAM)
it.settimeout(30)
for number, name in enumerate(sys.argv[2:]):
    began = time.monotonic()
    if name.startswith('tcp:'):
        name = name[4:]
        asked = question(number, name)
        stream.sendall(struct.pack('>H', len(asked)) + asked)
        stream.recv(4096)
    elif name == 'junk':
        it.sendto(b'junk', resolver)
        continue
    else:
        it.sendto(question(number, name), resolver)
        if name.startswith('silent'):
            continue
        it.recv(4096)
    print(name, int((time.monotonic() - began) * 1e6))
";

pub(crate) fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

/// Asks a resolver; gives back how long each answer took, in microseconds.
pub(crate) fn ask(client: &Container, resolver: &str, names: &[&str]) -> Result<Vec<(String, u64)>> {
    let said = client.exec(&[&["python3", "-c", CLIENT, resolver], names].concat())?;
    let line = |line: &str| {
        let (name, took) = line.split_once(' ').with_context(|| format!("{line:?}"))?;
        Ok((name.to_owned(), took.parse()?))
    };
    said.lines().map(line).collect()
}

/// Waits until it hears of names that this client asks for.
pub(crate) fn wait_until_heard(
    running: &mut Running,
    ask: impl Fn() -> Result<()>,
    kind: &str,
) -> Result<()> {
    wait_for("a first record", PATIENCE, || {
        ask()?;
        Ok((!running.lines(kind).is_empty()).then_some(()))
    })
}
