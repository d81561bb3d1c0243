//! A network of a driver that Docker does not have: a plugin, made here, that gives each container one end of a veth.

use crate::agent::{Agent, PATIENCE, is_watched, send};
use crate::elsewhere::ip;
use crate::inside::{is_exact, wait_until_exact};
use anyhow::{Context, Result, ensure};
use lab::Lab;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Where Docker looks for plugins.
const FOLDER: &str = "/run/docker/plugins";
/// The host's own address, at each of its ends.
const GATEWAY: &str = "198.18.92.1";

/// A plugin, which answers as long as the process lives, and cannot be found any more when this is dropped.
struct Plugin(PathBuf);

impl Plugin {
    fn start(name: &str) -> Result<Self> {
        fs::create_dir_all(FOLDER)?;
        let socket = Path::new(FOLDER).join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket)?;
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                std::thread::spawn(move || serve(connection));
            }
        });
        Ok(Self(socket))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// Answers one request after another.
fn serve(mut connection: UnixStream) -> Result<()> {
    let mut requests = BufReader::new(connection.try_clone()?);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if requests.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            requests.read_line(&mut header)?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        requests.read_exact(&mut body)?;
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let told = match answer(&first, &asked) {
            Ok(told) => told.to_string(),
            Err(error) => json!({ "Err": format!("{error:#}") }).to_string(),
        };
        let kind = "application/vnd.docker.plugins.v1.1+json";
        write!(
            connection,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{told}",
            told.len()
        )?;
    }
}

fn answer(request: &str, asked: &Value) -> Result<Value> {
    let method = request.split([' ', '.']).nth(2).context("a method")?;
    let device = || {
        let id = asked["EndpointID"].as_str().and_then(|id| id.get(..8)).context("an endpoint")?;
        anyhow::Ok(format!("vw{id}"))
    };
    Ok(match method {
        "Activate" => json!({ "Implements": ["NetworkDriver"] }),
        "GetCapabilities" => json!({ "Scope": "local" }),
        "CreateEndpoint" => {
            let device = device()?;
            ip(&format!("link add {device} type veth peer name {device}p"))?;
            ip(&format!("addr add {GATEWAY}/24 dev {device}"))?;
            ip(&format!("link set {device} up"))?;
            json!({})
        }
        // Else Docker makes a network of its own for what is outside, which stays.
        "Join" => json!({
            "InterfaceName": { "SrcName": format!("{}p", device()?), "DstPrefix": "eth" },
            "DisableGatewayService": true,
        }),
        "DeleteEndpoint" => {
            ip(&format!("link del {}", device()?))?;
            json!({})
        }
        "EndpointOperInfo" => json!({ "Value": {} }),
        _ => json!({}),
    })
}

#[test]
fn a_container_on_a_plugins_network_is_counted_at_its_own_device_and_told_with_the_driver() -> Result<()> {
    let driver = format!("vwplugin{}", std::process::id());
    let _plugin = Plugin::start(&driver)?;
    let lab = Lab::new("plugin")?;
    let net = lab.network("net", &["--driver", &driver, "--subnet", "198.18.92.0/24"])?;
    let one = lab.container("one").on(&net).run(&["sleep"])?;
    let agent = Agent::start("plugin")?;
    let is_on = |row: &Value| {
        let at = &row["networks"][0];
        is_watched(row) && at["driver"] == *driver && at["interface"] == format!("eth0 of {}", &one.id[..12])
    };
    agent.wait_for_row("its device to be watched", &one, is_on)?;
    send(&one, &format!("{GATEWAY}:9"), 100, 50)?;
    let sent = |row: &Value| row["sent"]["packets"].as_u64() >= Some(100);
    agent.wait_for_row("what it sent", &one, sent)?;
    let row = wait_until_exact(&agent, &one)?;
    ensure!(is_exact(&row, &one.own_counters("eth0")?), "{row}");
    one.disconnect(&net)?;
    lab::wait_for("it to be watched no longer", PATIENCE, || {
        Ok(agent.row(&one)?.is_none_or(|row| !is_watched(&row)).then_some(()))
    })?;
    agent.end()
}
