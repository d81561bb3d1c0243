//! A TCP proxy.

use crate::http::listen;
use anyhow::{Context, Result};
use std::io;
use std::net::{Shutdown, TcpStream};

/// Passes connections on until the program ends.
pub(crate) fn serve(port: u16, upstream: &str) -> Result<()> {
    let listener = listen(port)?;
    println!("passing port {port} on to {upstream}");
    for connection in listener.incoming() {
        // A connection that was reset before it was accepted is the client's business.
        let Ok(connection) = connection else { continue };
        let upstream = upstream.to_owned();
        std::thread::spawn(move || {
            if let Err(error) = pass(connection, &upstream) {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

fn pass(client: TcpStream, upstream: &str) -> Result<()> {
    let server = TcpStream::connect(upstream).with_context(|| format!("connecting to {upstream}"))?;
    let (client_reader, server_writer) = (client.try_clone()?, server.try_clone()?);
    let up = std::thread::spawn(move || copy(client_reader, server_writer));
    copy(server, client);
    // The thread cannot panic; both directions are done when it ends.
    let _ = up.join();
    Ok(())
}

/// Copies until the end of one direction and passes that end on. A reset ends it like a close.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
