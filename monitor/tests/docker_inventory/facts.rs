//! What rules need of containers and networks, against what the engine really does.

use crate::bench::Bench;
use crate::started;
use crate::support::Listener;
use monitor::model::{Container, Rights};

/// Numbers of the capabilities in the kernel.
const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;
const SYS_ADMIN: u32 = 21;

async fn inspected(listener: &mut Listener, id: &str) -> Container {
    listener
        .container("inspect", |seen| seen.id.as_str() == id && seen.rights.is_some() && seen.pid.is_some())
        .await
}

/// What the kernel lets a process do: its bounding set.
fn of_process(pid: u32) -> [bool; 3] {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let set = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
    let set = u64::from_str_radix(set.trim(), 16).unwrap();
    [NET_ADMIN, SYS_ADMIN, NET_RAW].map(|number| set & (1 << number) != 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_are_those_that_the_kernel_grants() {
    let mut bench = Bench::new("rights");
    let mut listener = started().await;
    // A machine that is a container itself may lack SYS_RESOURCE, and can then start none that has everything.
    let all = ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--cap-drop", "NET_ADMIN"];
    let cases: [&[&str]; 8] = [
        &[],
        &["--cap-add", "NET_ADMIN"],
        &["--cap-add", "SYS_ADMIN"],
        &["--cap-drop", "net_raw"],
        &all,
        &["--cap-add", "CAP_NET_RAW", "--cap-drop", "ALL"],
        &["--cap-add", "NET_RAW", "--cap-drop", "NET_RAW"],
        &["--cap-drop", "ALL"],
    ];
    for (number, options) in cases.iter().enumerate() {
        let id = bench.run(&number.to_string(), options);
        let seen = inspected(&mut listener, &id).await;
        let Rights { privileged, net_admin, sys_admin, net_raw, docker_socket } = seen.rights.unwrap();
        assert_eq!([net_admin, sys_admin, net_raw], of_process(seen.pid.unwrap()), "{options:?}");
        assert_eq!((privileged, docker_socket), (false, None), "{options:?}");
    }
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_labels_and_a_mounted_socket_are_told() {
    let mut bench = Bench::new("links");
    let mut listener = started().await;
    bench.run("db", &[]);
    let link = format!("{}:database", bench.name("db"));
    let socket = "/var/run/docker.sock:/run/other:ro";
    let id = bench.run("web", &["--link", &link, "--label", "b=2", "--label", "a=1=1", "-v", socket]);
    let seen = inspected(&mut listener, &id).await;
    assert_eq!(seen.links.iter().map(ToString::to_string).collect::<Vec<_>>(), [bench.name("db")]);
    let labels: Vec<_> = seen.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("a", "1=1"), ("b", "2")]);
    let mount = seen.rights.unwrap().docker_socket;
    assert_eq!(mount.unwrap().as_str(), "/var/run/docker.sock:/run/other");
    listener.stop().await;
}
