//! The program inside the containers of the demo and the tests: servers, clients, and senders of hand-made frames.
//!
//! It says on standard output what it did, one line a fact, so that a test can read it from the container's log.

mod arguments;
mod clock;
mod connect_storm;
mod frame;
mod http;
mod packet_socket;
mod proxy;
mod segments;
mod send_frames;
mod signals;
mod udp;

use anyhow::Result;
use arguments::duration;
use clap::{Parser, Subcommand};
use std::time::Duration;

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Do nothing until a signal comes.
    Sleep,
    /// Answer HTTP requests: `/bytes/N` with N bytes, any other path with who answers and who asked.
    ServeHttp {
        /// TCP port.
        port: u16,
    },
    /// Accept TCP connections and close them at once, many a second.
    Sink {
        /// TCP port.
        port: u16,
    },
    /// Accept TCP connections and pass their bytes to and from another address.
    Proxy {
        /// TCP port.
        port: u16,
        /// `HOST:PORT` to connect to, looked up for each connection.
        upstream: String,
    },
    /// Send HTTP requests, each over a connection of its own, and print a line for each.
    Get(http::Get),
    /// Open and reset TCP connections as fast as asked.
    ConnectStorm(connect_storm::ConnectStorm),
    /// Send UDP datagrams.
    UdpSend(udp::Send),
    /// Receive UDP datagrams and print how many came.
    UdpReceive(udp::Receive),
    /// Send one UDP datagram at once, then sleep.
    FirstPacket {
        /// `ADDRESS:PORT` to send to.
        to: String,
        /// What to send.
        #[arg(default_value = "first")]
        text: String,
    },
    /// Send hand-made Ethernet frames.
    SendFrames(send_frames::SendFrames),
    /// Count the frames that an interface receives, and the wire packets they stand for.
    CountSegments {
        /// Interface name.
        #[arg(long, default_value = "eth0")]
        interface: String,
        /// Count only frames of this TCP or UDP port.
        #[arg(long)]
        port: Option<u16>,
        /// End after this time without a frame that counts; the time starts with the first one.
        #[arg(long, value_parser = duration, default_value = "2s")]
        idle: Duration,
    },
}

fn main() -> Result<()> {
    signals::end_on_request();
    match Arguments::parse().part {
        Part::Sleep => signals::sleep(),
        Part::ServeHttp { port } => http::serve(port),
        Part::Sink { port } => sink(port),
        Part::Proxy { port, upstream } => proxy::serve(port, &upstream),
        Part::Get(get) => get.run(),
        Part::ConnectStorm(storm) => storm.run(),
        Part::UdpSend(send) => send.run(),
        Part::UdpReceive(receive) => receive.run(),
        Part::FirstPacket { to, text } => {
            udp::send_one(&to, text.as_bytes())?;
            signals::sleep()
        }
        Part::SendFrames(frames) => frames.run(),
        Part::CountSegments { interface, port, idle } => segments::count(&interface, port, idle),
    }
}

fn sink(port: u16) -> Result<()> {
    let listener = http::listen(port)?;
    println!("accepting on port {port}");
    listener.incoming().for_each(drop);
    Ok(())
}
