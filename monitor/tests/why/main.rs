//! `vethwatch why` on real Docker networks: real traffic, and what it answers about it.
//!
//! Needs root, Docker, iptables and the images.

mod rig;

use anyhow::{Context, Result, ensure};
use lab::Outside;
use rig::{Rig, Rule, attempt, commands, connect, places, refused, the_one, ways, why};

#[test]
fn what_works_is_followed_to_the_other_end_and_back() -> Result<()> {
    let rig = Rig::new("whyok")?;
    let net = rig.lab.network("net", &[])?;
    let (a, b) = (
        rig.client("a", &net, &[])?,
        rig.server("b", &net, &["--label", "com.docker.compose.service=shop"])?,
    );
    let to = b.address(&net)?;
    let answer =
        why(&a.name, &format!("{}:80", b.name), || a.exec(&["nc", "-z", "-w1", &to, "80"]).map(drop))?;
    let seen = the_one(&answer, ["allow", "same-network", "answered"], false)?;
    let devices = [a.host_device(&net)?.name, b.host_device(&net)?.name];
    ensure!(places(&seen) == devices, "{seen}");
    ensure!(ways(&answer) == [format!("{to}:80 allow same-network")], "{answer}");
    ensure!(answer["summary"] == "It works.", "{answer}");
    let pids = [a.pid()?, b.pid()?];
    let expected = [
        format!("tcpdump -ni {} host {to} and port 80", devices[0]),
        format!("tcpdump -ni {} port 80", devices[1]),
        format!("nsenter -t {} -n ss -ltn", pids[1]),
        format!("nsenter -t {} -n ip route get {to}", pids[0]),
    ];
    ensure!(commands(&answer) == expected, "{answer}");
    ensure!(
        answer["to"]["pid"] == pids[1] && answer["from"]["interfaces"][0]["interface"] == devices[0],
        "{answer}"
    );
    Ok(())
}

#[test]
fn what_docker_keeps_apart_is_stopped_at_a_place_with_a_reason() -> Result<()> {
    let rig = Rig::new("whyapart")?;
    let nets = [rig.lab.network("a", &[])?, rig.lab.network("b", &[])?];
    let (a, b) = (rig.client("a", &nets[0], &[])?, rig.server("b", &nets[1], &[])?);
    let to = b.address(&nets[1])?;
    let answer = why(&a.name, &b.name, || attempt(&a, &["nc", "-z", "-w1", &to, "80"]))?;
    let seen = the_one(&answer, ["deny", "cross-network", "blocked"], false)?;
    ensure!(seen["drop_reason"] == "NETFILTER_DROP", "{seen}");
    ensure!(places(&seen) == [a.host_device(&nets[0])?.name, nets[0].bridge.clone()], "{seen}");
    let course = seen["explanation"].as_str().context("a sentence")?;
    ensure!(course.ends_with(&format!("nothing reached {}.", b.name)), "{course}");
    ensure!(commands(&answer).contains(&"iptables -nvL DOCKER-USER".to_owned()), "{answer}");
    let capture = format!("tcpdump -ni {} port 80", b.host_device(&nets[1])?.name);
    ensure!(commands(&answer).contains(&capture), "{answer}");
    Ok(())
}

#[test]
fn a_closed_port_is_refused_by_the_destination_itself() -> Result<()> {
    let rig = Rig::new("whyclosed")?;
    let net = rig.lab.network("net", &[])?;
    let (a, b) = (rig.client("a", &net, &[])?, rig.client("b", &net, &[])?);
    let to = b.address(&net)?;
    let answer = why(&a.name, &format!("{to}:4444"), || attempt(&a, &["nc", "-z", "-w1", &to, "4444"]))?;
    let seen = the_one(&answer, ["allow", "same-network", "answered"], true)?;
    ensure!(places(&seen) == [a.host_device(&net)?.name, b.host_device(&net)?.name], "{seen}");
    let course = seen["explanation"].as_str().context("a sentence")?;
    ensure!(course.contains("nobody listens on port 4444/tcp"), "{course}");
    Ok(())
}

#[test]
fn where_nothing_is_sent_the_expectation_and_what_to_try_are_told() -> Result<()> {
    let rig = Rig::new("whynothing")?;
    let net = rig.lab.network("net", &[])?;
    let (a, b) = (rig.client("a", &net, &[])?, rig.client("b", &net, &[])?);
    let answer = why(&a.name, &format!("{}:80", b.name), || Ok(()))?;
    ensure!(
        answer["conversations"] == serde_json::json!([]) && answer["conversation_count"] == 0,
        "{answer}"
    );
    ensure!(answer["expected"] == "allow" && answer["rule"] == "same-network", "{answer}");
    let attempt = format!("docker exec {} nc -vz -w 3 {} 80", a.name, b.address(&net)?);
    ensure!(commands(&answer).first() == Some(&attempt), "{answer}");
    Ok(())
}

#[test]
fn a_published_port_is_followed_through_the_hosts_proxy() -> Result<()> {
    let rig = Rig::new("whyproxy")?;
    let nets = [rig.lab.network("a", &[])?, rig.lab.network("b", &[])?];
    let a = rig.client("a", &nets[0], &[])?;
    let b = rig.server("b", &nets[1], &["--publish", "28085:80"])?;
    let gateway = nets[0].gateway()?;
    let answer = why(&a.name, &format!("{}:80", b.name), || {
        a.exec(&["nc", "-z", "-w1", &gateway, "28085"]).map(drop)
    })?;
    let seen = the_one(&answer, ["allow", "published-port", "answered"], false)?;
    ensure!(seen["translated"]["kind"] == "proxy", "{seen}");
    ensure!(seen["translated"]["original"]["destination_port"] == 28_085, "{seen}");
    ensure!(places(&seen) == [a.host_device(&nets[0])?.name, b.host_device(&nets[1])?.name], "{seen}");
    let to = b.address(&nets[1])?;
    let expected = [format!("{gateway}:28085 allow published-port"), format!("{to}:80 deny cross-network")];
    ensure!(ways(&answer) == expected, "{answer}");
    Ok(())
}

#[test]
fn a_redirection_by_the_host_is_followed_by_conntrack() -> Result<()> {
    let rig = Rig::new("whydnat")?;
    let nets = [rig.lab.network("a", &[])?, rig.lab.network("b", &[])?];
    let (a, b) = (rig.client("a", &nets[0], &[])?, rig.server("b", &nets[1], &[])?);
    let (from, to) = (&nets[0].bridge, &nets[1].bridge);
    let target = b.address(&nets[1])?;
    let _rules = [
        Rule::insert("filter", format!("DOCKER-USER -i {from} -o {to} -j ACCEPT"))?,
        Rule::insert("filter", format!("DOCKER-USER -i {to} -o {from} -j ACCEPT"))?,
        Rule::insert(
            "nat",
            format!("PREROUTING -i {from} -p tcp --dport 7000 -j DNAT --to-destination {target}:80"),
        )?,
    ];
    let gateway = nets[0].gateway()?;
    let answer =
        why(&a.name, &format!("{}:80", b.name), || a.exec(&["nc", "-z", "-w1", &gateway, "7000"]).map(drop))?;
    let seen = the_one(&answer, ["deny", "cross-network", "answered"], false)?;
    ensure!(
        seen["translated"]["kind"] == "redirect" && seen["translated"]["evidence"] == "conntrack",
        "{seen}"
    );
    ensure!(seen["translated"]["reply"]["source"] == *target, "{seen}");
    ensure!(places(&seen) == [a.host_device(&nets[0])?.name, b.host_device(&nets[1])?.name], "{seen}");
    let conntrack = format!("conntrack -L -s {} -d {gateway}", a.address(&nets[0])?);
    ensure!(commands(&answer).contains(&conntrack), "{answer}");
    Ok(())
}

#[test]
fn from_outside_a_published_port_works_and_another_one_is_stopped() -> Result<()> {
    let rig = Rig::new("whyoutside")?;
    let net = rig.lab.network("net", &[])?;
    let b = rig.server("b", &net, &["--publish", "28086:80"])?;
    let outside = Outside::new(&[])?;
    let answer = why("outside", &format!("{}:80", b.name), || connect(&outside, &outside.host, "28086"))?;
    let seen = the_one(&answer, ["allow", "exposed-port", "answered"], false)?;
    ensure!(seen["source"]["address"] == *outside.address, "{seen}");
    ensure!(seen["translated"]["kind"] == "published-port", "{seen}");
    let to = b.address(&net)?;
    let answer = why(&outside.address, &format!("{to}:81"), || connect(&outside, &to, "81"))?;
    ensure!(answer["expected"] == "deny" && answer["rule"] == "exposed-port", "{answer}");
    ensure!(answer["drops"][0]["reason"] == "NETFILTER_DROP" && answer["drops"][0]["port"] == 81, "{answer}");
    Ok(())
}

#[test]
fn who_is_meant_must_be_clear() -> Result<()> {
    let rig = Rig::new("whyname")?;
    let net = rig.lab.network("net", &[])?;
    let service = format!("{}-service", rig.lab.prefix());
    let label = format!("com.docker.compose.service={service}");
    let (one, two) =
        (rig.client("one", &net, &["--label", &label])?, rig.client("two", &net, &["--label", &label])?);
    let ambiguous = refused(&one.name, &format!("{service}:80"))?;
    ensure!(ambiguous.status.code() == Some(2), "{ambiguous:?}");
    ensure!(ambiguous.stderr.contains(&format!("{}, {}", one.name, two.name)), "{ambiguous:?}");
    let unknown = refused(&one.name, &format!("{}x", two.name))?;
    ensure!(unknown.status.code() == Some(2), "{unknown:?}");
    ensure!(unknown.stderr.contains(&format!("did you mean {}?", two.name)), "{unknown:?}");
    // Nothing between these could be seen.
    ensure!(refused("host", "outside")?.status.code() == Some(2));
    ensure!(refused(&one.name, &one.name)?.status.code() == Some(2));
    two.remove()?;
    // The only one of a service may be called by it.
    let answer = why("host", &service, || Ok(()))?;
    ensure!(answer["to"]["container"]["name"] == *one.name, "{answer}");
    Ok(())
}

#[test]
fn a_container_in_host_mode_is_asked_about_at_its_own_sockets_and_what_cannot_be_known_is_said() -> Result<()>
{
    let rig = Rig::new("whyhost")?;
    let net = rig.lab.network("net", &[])?;
    let web = rig.server("web", &net, &[])?;
    let debian = lab::image::ready(lab::image::DEBIAN)?;
    let on_host = |name: &str, words: &[&str]| {
        rig.lab.container(name).image(&debian).options(&["--network", "host"]).run(words)
    };
    let agent = on_host("agent", &["python3", "-m", "http.server", "4718"])?;
    let other = on_host("other", &["sleep", "infinity"])?;
    let to = web.address(&net)?;

    // Another container in host mode does the same, and is not told.
    let answer = why(&agent.name, &format!("{}:80", web.name), || {
        other.exec(&["nc", "-z", "-w1", &to, "80"])?;
        agent.exec(&["nc", "-z", "-w1", &to, "80"]).map(drop)
    })?;
    let all = answer["conversations"].as_array().context("a list")?;
    ensure!(
        all.len() == 1 && all[0]["outcome"] == "answered" && all[0]["direction"] == "forward",
        "{answer}"
    );
    ensure!(all[0]["source"]["container"]["id"] == *agent.id, "{answer}");
    let devices = [format!("cgroup of {}", &agent.id[..12]), web.host_device(&net)?.name];
    ensure!(places(&all[0]) == devices, "{answer}");
    let said = answer["notes"].to_string();
    ensure!(said.contains("is in host mode") && said.contains("nobody knows that it is its own"), "{answer}");
    ensure!(
        answer["from"]["container"]["id"] == *agent.id && answer["from"]["pid"] == agent.pid()?,
        "{answer}"
    );
    ensure!(!commands(&answer).iter().any(|command| command.contains("cgroup of")), "{answer}");

    let gateway = net.gateway()?;
    wait_for("the server in host mode", || web.exec(&["nc", "-z", "-w1", &gateway, "4718"]).is_ok())?;
    let answer = why(&web.name, &format!("{}:4718", agent.name), || {
        web.exec(&["nc", "-z", "-w1", &gateway, "4718"]).map(drop)
    })?;
    let all = answer["conversations"].as_array().context("a list")?;
    ensure!(
        all.len() == 1 && all[0]["outcome"] == "answered" && all[0]["direction"] == "forward",
        "{answer}"
    );
    ensure!(all[0]["destination"]["container"]["id"] == *agent.id, "{answer}");
    let course = all[0]["explanation"].as_str().context("a sentence")?;
    ensure!(course.contains(&format!("reached {}'s sockets", agent.name)), "{course}");

    let both = refused(&agent.name, &other.name)?;
    ensure!(both.status.code() == Some(2) && both.stderr.contains("both ends are in host mode"), "{both:?}");
    Ok(())
}

/// Waits until it is so.
fn wait_for(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    lab::wait_for(what, std::time::Duration::from_secs(30), || Ok(is_so().then_some(())))
}
