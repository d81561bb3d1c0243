//! Four replicas behind a plain alias, without Compose: one serves another port, one is not asked until nginx asks all.

use crate::rig::{Agent, PATIENCE};
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, image, wait_for};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Looks its first argument up again for each of as many connections as its second says, and takes the first address that is none
/// of the others. Prints each, and what became of it.
const CLIENT: &str = "
import socket, sys
for _ in range(int(sys.argv[2])):
    found = socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET, socket.SOCK_STREAM)
    to = next(it[4] for it in found if it[4][0] not in sys.argv[3:])
    try:
        with socket.create_connection(to, 5) as it:
            it.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
            while it.recv(4096):
                pass
        print(to[0], 'ok')
    except ConnectionRefusedError:
        print(to[0], 'refused')
";

/// nginx with the alias for its upstreams, which says for each request whom it asked.
const NGINX: &str = "printf '%s' '
    log_format asked \"asked $upstream_addr\";
    upstream replicas { server pool:80; }
    server {
        listen 8080;
        access_log /dev/stdout asked;
        location / { proxy_pass http://replicas; }
    }' > /etc/nginx/conf.d/default.conf
exec nginx -g 'daemon off;'";

/// How many connections to each address there were, and how many of these were refused.
type Counted = HashMap<String, [u64; 2]>;

fn connect(client: &Container, words: &[&str]) -> Result<Counted> {
    let said = client.exec(&[&["python3", "-c", CLIENT], words].concat())?;
    let mut counted = Counted::new();
    for line in said.lines() {
        let (address, fate) = line.split_once(' ').with_context(|| format!("{line:?}"))?;
        let [asked, refused] = counted.entry(address.to_owned()).or_default();
        *asked += 1;
        *refused += u64::from(fate == "refused");
    }
    Ok(counted)
}

/// The service's line, once so many connections are in it.
fn told(agent: &Agent, connections: u64) -> Result<Value> {
    wait_for("all connections", PATIENCE, || {
        let rows = agent.ask(&["services", "pool"])?;
        Ok(rows.into_iter().find(|row| row["type"] == "service" && row["connections"] == connections))
    })
}

fn of<'a>(service: &'a Value, replica: &Container) -> Result<&'a Value> {
    let mut rows = service["replicas"].as_array().context("replicas")?.iter();
    rows.find(|row| row["container"]["id"] == *replica.id).with_context(|| format!("{service}"))
}

#[test]
fn replicas_behind_an_alias_have_what_asked_for_it_and_a_dead_one_is_found() -> Result<()> {
    let lab = Lab::new("alias")?;
    let network = lab.network("net", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    let python = |name: &str| lab.container(name).image(&debian).on(&network).run(&["sleep", "600"]);
    let (client, other) = (python("client")?, python("other")?);
    let replicas: Vec<Container> = ["80", "80", "81", "80"]
        .iter()
        .enumerate()
        .map(|(number, port)| {
            let spec = lab.container(&format!("web-{number}")).on(&network);
            spec.options(&["--network-alias", "pool"]).run(&["serve-http", port])
        })
        .collect::<Result<_>>()?;
    for replica in &replicas {
        wait_for("a replica", PATIENCE, || Ok(replica.logs()?.contains("serving").then_some(())))?;
    }
    let all: Vec<&Container> = replicas.iter().chain([&client, &other]).collect();
    let agent = Agent::watching("alias", &all)?;
    let mut found = agent.start(&["violations", "--kind", "broken"])?;
    let heard = agent.start(&["dns", "--container", &client.name])?;
    wait_for("the resolver to be heard", PATIENCE, || {
        client.exec(&["getent", "ahostsv4", "pool"])?;
        Ok(heard.lines("dns").iter().any(|line| line["name"] == "pool").then_some(()))
    })?;
    let addresses: Vec<String> = replicas.iter().map(|it| it.address(&network)).collect::<Result<_>>()?;
    let counted = connect(&client, &["pool", "60", &addresses[3]])?;
    // By its own name nobody comes to the others; by an address it may be either.
    connect(&other, &[&replicas[0].name, "7"])?;
    connect(&other, &[&addresses[1], "5"])?;

    let service = told(&agent, 65)?;
    let is_it = service["service"]["kind"] == "alias" && service["service"]["alias"] == "pool";
    ensure!(is_it && service["service"]["network"]["name"] == *network.name, "{service}");
    for (number, (replica, address)) in replicas.iter().zip(&addresses).enumerate() {
        let row = of(&service, replica)?;
        let [asked, refused] = counted.get(address).copied().unwrap_or_default();
        let by_address = if number == 1 { 5 } else { 0 };
        ensure!(row["by_name"] == asked && row["connections"] == asked + by_address, "{asked}: {row}");
        ensure!(row["refused"] == refused && row["answered"] == asked + by_address - refused, "{row}");
        ensure!(row["gets_none"] == (number == 3), "{row}");
        let clients = match number {
            1 => json!([client.name, other.name]),
            3 => json!([]),
            _ => json!([client.name]),
        };
        ensure!(row["clients"] == clients, "{row}");
    }
    ensure!(counted.get(&addresses[2]).is_some_and(|[asked, refused]| asked == refused), "{counted:?}");
    // What came by its own name is in the pair of who did, and in no part of the alias.
    let pairs = agent.ask(&["pairs", "--container", &replicas[0].name])?;
    let pair = pairs.iter().find(|line| line["client"]["container"]["id"] == *client.id);
    let (pair, row) = (pair.context("a pair")?, of(&service, &replicas[0])?);
    ensure!(pair["sent"] == row["received"] && pair["received"] == row["sent"], "{pair} {row}");

    failures_and_latency(&agent, &network, &replicas, &counted)?;
    nginx_asks_all(&lab, &network, [&client, &other], &replicas, &agent)?;
    let finding = found.wait_for("the finding", PATIENCE, |lines| {
        lines.iter().find(|line| line["rule"] == "silent-replica").cloned()
    })?;
    ensure!(
        finding["kind"] == "broken" && finding["destination"]["container"]["id"] == *replicas[2].id,
        "{finding}"
    );
    let explanation = finding["explanation"].as_str().unwrap_or_default();
    ensure!(explanation.contains(&format!("pool.{}", network.name)), "{explanation}");

    drop((found, heard));
    agent.end()?;
    lab.close()
}

/// What failed behind the name in all, with those behind it, and how long they all took, is told to who asks for the name; to who
/// asks for all, each once.
fn failures_and_latency(
    agent: &Agent,
    network: &lab::Network,
    replicas: &[Container],
    counted: &Counted,
) -> Result<()> {
    let refused: u64 = counted.values().map(|[_, refused]| refused).sum();
    let of_type = |words: &[&str], which: &str| -> Result<Vec<Value>> {
        Ok(agent.ask(words)?.into_iter().filter(|row| row["type"] == which).collect())
    };
    for name in ["pool".to_owned(), format!("pool.{}", network.name)] {
        let rows = of_type(&["failures", &name], "failure")?;
        let [sum, failing] = &*rows else { anyhow::bail!("{rows:#?}") };
        ensure!(sum["server"]["kind"] == "alias" && sum["server"]["alias"] == "pool", "{sum}");
        ensure!(
            sum["connections"] == 60 && sum["refused"] == refused && sum["answered"] == 60 - refused,
            "{sum}"
        );
        ensure!(
            failing["server"]["container"] == *replicas[2].name && failing["refused"] == refused,
            "{failing}"
        );
        let rows = of_type(&["latency", &name], "latency")?;
        let sums: Vec<&Value> = rows.iter().filter(|row| row["server"]["kind"] == "alias").collect();
        // By whatever name they came: 5 by an address, 7 by a container's own name.
        let answered: u64 = sums.iter().filter_map(|row| row["at_client"]["count"].as_u64()).sum();
        ensure!(sums.len() == 2 && answered == 60 - refused + 5 + 7, "{rows:#?}");
        ensure!(rows.len() > sums.len(), "{rows:#?}");
    }
    for (table, which) in [("failures", "failure"), ("latency", "latency")] {
        let rows = of_type(&[table], which)?;
        ensure!(rows.iter().all(|row| row["server"]["kind"] != "alias") && !rows.is_empty(), "{rows:#?}");
    }
    Ok(())
}

/// nginx looks the alias up once, as it starts, and asks all of it by turns.
fn nginx_asks_all(
    lab: &Lab,
    network: &lab::Network,
    [client, other]: [&Container; 2],
    replicas: &[Container],
    agent: &Agent,
) -> Result<()> {
    let before = told(agent, 65)?;
    let nginx = lab.container("nginx").image(image::DEBIAN).on(network).run(&["sh", "-c", NGINX])?;
    let at = nginx.address(network)?;
    let fetch = format!("import urllib.request as it; it.urlopen('http://{at}:8080/').read()");
    wait_for("nginx", PATIENCE, || Ok(client.exec(&["python3", "-c", &fetch]).is_ok().then_some(())))?;
    for _ in 0..12 {
        other.exec(&["python3", "-c", &fetch])?;
    }
    // Docker may have the last line a moment later.
    let logs = wait_for("a line for each request", PATIENCE, || {
        let logs = nginx.logs()?;
        Ok((logs.lines().filter(|line| line.starts_with("asked ")).count() > 12).then_some(logs))
    })?;
    // Where one refused it, nginx asked the next: both are in one line.
    let asked: Vec<&str> = logs
        .lines()
        .filter_map(|line| line.strip_prefix("asked "))
        .flat_map(|line| line.split(", "))
        .collect();
    let service = told(agent, 65 + asked.len() as u64)?;
    for replica in replicas {
        let its = format!("{}:80", replica.address(network)?);
        let by_nginx = asked.iter().filter(|address| **address == its).count() as u64;
        let count = |row: &Value| row["by_name"].as_u64().context("a count");
        let more = count(of(&service, replica)?)? - count(of(&before, replica)?)?;
        ensure!(by_nginx > 0 && more == by_nginx, "{its}: {more} of {asked:?}");
        ensure!(of(&service, replica)?["gets_none"] == false, "{service}");
    }
    Ok(())
}
