//! Ports that are used again while the other end still has the connection before: it answers with an acknowledgement, the client
//! resets what that is about, and its SYN comes again. That is one connection more, not two.

use crate::failures::{inside, row};
use crate::rig::{Agent, PATIENCE, client_and_server};
use anyhow::{Result, ensure};
use lab::{Lab, wait_for};

const SERVER: &str = "
import socket
listener = socket.create_server(('', 5000))
print('listening', flush=True)
kept = []
while True:
    kept.append(listener.accept())
";

/// Opens a connection from one port and resets it.
const CLIENT: &str = "
import socket, struct, sys
with socket.socket() as it:
    it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    it.bind(('', 4000))
    it.connect((sys.argv[1], 5000))
";

#[test]
fn ports_used_again_while_the_server_has_the_connection_before_are_one_connection_more() -> Result<()> {
    let lab = Lab::new("reopened")?;
    let network = lab.network("net", &[])?;
    let [client, server] = client_and_server(&lab, &network, SERVER)?;
    let agent = Agent::watching("reopened", &[&client, &server])?;
    let address = server.address(&network)?;
    let open = || client.exec(&["python3", "-c", CLIENT, &address]).map(drop);

    // The server is not told that the first is over.
    inside(&client, "iptables -A OUTPUT -p tcp --tcp-flags RST RST -j DROP")?;
    open()?;
    inside(&client, "iptables -F OUTPUT")?;
    wait_for("the first", PATIENCE, || {
        let rows = agent.ask(&["latency"])?;
        Ok(rows.iter().any(|row| row["port"] == 5000 && row["between"]["count"] == 1).then_some(()))
    })?;
    // The SYN that comes at once after the reset is lost, so that the next one is in a later tick.
    inside(&client, "iptables -A OUTPUT -p tcp --syn -m statistic --mode nth --every 2 --packet 1 -j DROP")?;
    open()?;
    let row = wait_for("the second", PATIENCE, || {
        let rows = agent.ask(&["failures"])?;
        Ok(row(&rows, 5000).filter(|row| row["answered"] == 2).cloned())
    })?;
    ensure!(row["connections"] == 2 && row["answered"] == 2, "{row}");
    ensure!(row["reset_by_client"] == 1, "{row}");
    agent.end()?;
    lab.close()
}
