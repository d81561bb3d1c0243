//! What a container may do that bears on isolation.

use crate::model::{Rights, SafeText};
use bollard::models::{ContainerInspectResponse, HostConfig};

/// The most mounts of one container that are looked at.
const MOST_MOUNTS: usize = 1_000;
/// The name of Docker's socket, wherever it is.
const SOCKET: &str = "docker.sock";
/// Folders of the host in which it is.
const SOCKET_FOLDERS: [&str; 3] = ["/", "/run", "/var/run"];

/// A container's rights; none for an entry of a list, which does not tell them.
pub(super) fn rights(raw: &ContainerInspectResponse) -> Option<Rights> {
    let config = raw.host_config.as_ref()?;
    let privileged = config.privileged?;
    Some(Rights {
        privileged,
        net_admin: privileged || has(config, "NET_ADMIN", false),
        sys_admin: privileged || has(config, "SYS_ADMIN", false),
        net_raw: privileged || has(config, "NET_RAW", true),
        docker_socket: socket(raw, config),
    })
}

/// Whether a container that is not privileged has a capability, by the engine's own order: "all" that are added but
/// for those dropped; else of "all" dropped those added; else the usual ones but for those dropped, and those added.
fn has(config: &HostConfig, capability: &str, usually: bool) -> bool {
    let lists = |list: &Option<Vec<String>>, wanted: &str| {
        list.iter().flatten().any(|name| {
            let upper = name.trim().to_ascii_uppercase();
            upper.strip_prefix("CAP_").unwrap_or(&upper) == wanted
        })
    };
    let added = lists(&config.cap_add, capability);
    let dropped = lists(&config.cap_drop, capability);
    if lists(&config.cap_add, "ALL") {
        !dropped
    } else if lists(&config.cap_drop, "ALL") {
        added
    } else {
        added || (usually && !dropped)
    }
}

/// The first mount of the Docker socket, or of a folder of the host that it is in.
fn socket(raw: &ContainerInspectResponse, config: &HostConfig) -> Option<SafeText> {
    let mounts = raw.mounts.iter().flatten().take(MOST_MOUNTS);
    let mounts = mounts.map(|mount| (mount.source.as_deref(), mount.destination.as_deref()));
    let asked = config.mounts.iter().flatten().take(MOST_MOUNTS);
    let asked = asked.map(|mount| (mount.source.as_deref(), mount.target.as_deref()));
    let binds = config.binds.iter().flatten().take(MOST_MOUNTS).map(|bind| {
        let mut parts = bind.split(':');
        (parts.next(), parts.next())
    });
    let mut all = mounts.chain(asked).chain(binds);
    let (source, destination) = all.find(|(source, destination)| gives_it(*source, *destination))?;
    Some(SafeText::new(&format!("{}:{}", source.unwrap_or_default(), destination.unwrap_or_default())))
}

fn gives_it(source: Option<&str>, destination: Option<&str>) -> bool {
    let is_socket = |path: Option<&str>| {
        path.and_then(|path| path.trim_end_matches('/').rsplit('/').next()) == Some(SOCKET)
    };
    let folder = source.map(|path| match path.trim_end_matches('/') {
        "" if !path.is_empty() => "/",
        bare => bare,
    });
    is_socket(source)
        || is_socket(destination)
        || folder.is_some_and(|folder| SOCKET_FOLDERS.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::rights;
    use crate::model::{Rights, SafeText};

    const USUAL: Rights =
        Rights { privileged: false, net_admin: false, sys_admin: false, net_raw: true, docker_socket: None };

    #[track_caller]
    fn check(host_config: &str, mounts: &str, expected: Option<Rights>) {
        let json = format!(r#"{{"HostConfig":{host_config},"Mounts":{mounts}}}"#);
        assert_eq!(rights(&serde_json::from_str(&json).unwrap()), expected, "{json}");
    }

    #[track_caller]
    fn check_capabilities(add: &str, drop: &str, expected: [bool; 3]) {
        let [net_admin, sys_admin, net_raw] = expected;
        let config = format!(r#"{{"Privileged":false,"CapAdd":{add},"CapDrop":{drop}}}"#);
        check(&config, "null", Some(Rights { net_admin, sys_admin, net_raw, ..USUAL }));
    }

    #[test]
    fn what_does_not_say_whether_it_is_privileged_tells_no_rights() {
        check("null", "null", None);
        check(r#"{"NetworkMode":"bridge"}"#, "[]", None);
        check(r#"{"Privileged":false}"#, "null", Some(USUAL));
    }

    #[test]
    fn a_privileged_container_has_every_capability() {
        let all = Rights { privileged: true, net_admin: true, sys_admin: true, ..USUAL };
        check(r#"{"Privileged":true,"CapDrop":["ALL"]}"#, "null", Some(all));
    }

    #[test]
    fn capabilities_are_added_and_dropped_in_the_engines_order() {
        check_capabilities("null", "null", [false, false, true]);
        check_capabilities(r#"["NET_ADMIN"]"#, "[]", [true, false, true]);
        check_capabilities(r#"["CAP_NET_ADMIN"]"#, r#"["CAP_NET_RAW"]"#, [true, false, false]);
        check_capabilities(r#"["net_admin"]"#, r#"["net_raw"]"#, [true, false, false]);
        check_capabilities(r#"["ALL"]"#, "null", [true, true, true]);
        check_capabilities(r#"["ALL"]"#, r#"["NET_ADMIN"]"#, [false, true, true]);
        check_capabilities("null", r#"["ALL"]"#, [false, false, false]);
        check_capabilities(r#"["NET_RAW"]"#, r#"["ALL"]"#, [false, false, true]);
        check_capabilities(r#"["SYS_ADMIN","\u001b[2J",""]"#, r#"["X"]"#, [false, true, true]);
    }

    #[test]
    fn the_socket_is_found_wherever_it_is_mounted_from_or_to() {
        let with = |config: &str, mounts: &str, socket: Option<&str>| {
            let docker_socket = socket.map(SafeText::new);
            let config = format!(r#"{{"Privileged":false{config}}}"#);
            check(&config, mounts, Some(Rights { docker_socket, ..USUAL }));
        };
        with(
            "",
            r#"[{"Source":"/var/run/docker.sock","Destination":"/d"}]"#,
            Some("/var/run/docker.sock:/d"),
        );
        with("", r#"[{"Source":"/x","Destination":"/run/docker.sock"}]"#, Some("/x:/run/docker.sock"));
        with(
            "",
            r#"[{"Source":"/run/user/1000/docker.sock","Destination":"/d"}]"#,
            Some("/run/user/1000/docker.sock:/d"),
        );
        with("", r#"[{"Source":"/","Destination":"/host"}]"#, Some("/:/host"));
        with("", r#"[{"Source":"/var/run/","Destination":"/host"}]"#, Some("/var/run/:/host"));
        with(r#","Binds":["/run/docker.sock:/s:ro"]"#, "null", Some("/run/docker.sock:/s"));
        with(
            r#","Mounts":[{"Type":"bind","Source":"/run/docker.sock","Target":"/s"}]"#,
            "null",
            Some("/run/docker.sock:/s"),
        );
        with("", r#"[{"Source":"/srv/docker.sock.d","Destination":"/var/run/docker"}]"#, None);
        with("", r#"[{"Source":"","Destination":""},{}]"#, None);
        with(r#","Binds":["/run/\u001b[2J/docker.sock"]"#, "null", Some("/run/\\u{1b}[2J/docker.sock:"));
        with(r#","Binds":["",":",":::","docker.socks:/x"]"#, "null", None);
    }
}
