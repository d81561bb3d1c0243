//! What an inspect tells of a container beside who and where it is.

use crate::model::{Details, SafeText};
use bollard::models::{
    ContainerInspectResponse, HealthStatusEnum as Health, HostConfig, RestartPolicyNameEnum as Restart,
};
use std::collections::BTreeSet;

/// The most characters of a command that are kept.
const LONGEST_COMMAND: usize = 1_024;
/// The most capabilities of one container that are kept.
const MOST_CAPABILITIES: usize = 64;
/// The period that a quota of processor time is of, in microseconds, where none is given.
const USUAL_PERIOD: i64 = 100_000;
/// The capabilities a container has if nothing is said of them.
const USUAL: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// A container's details, without labels and ports; none for an entry of a list, which does not tell them.
pub(super) fn details(raw: &ContainerInspectResponse) -> Option<Details> {
    let config = raw.host_config.as_ref()?;
    let privileged = config.privileged?;
    let (capabilities_added, capabilities_dropped) =
        if privileged { Default::default() } else { capabilities(config) };
    let policy = config.restart_policy.as_ref().and_then(|policy| policy.name);
    Some(Details {
        restarts: raw.restart_count.and_then(|count| u64::try_from(count).ok()),
        health: health(raw),
        command: command(raw),
        memory_limit: limit(config.memory),
        nano_cpus: limit(config.nano_cpus).or_else(|| quota(config)),
        pids_limit: limit(config.pids_limit),
        capabilities_added,
        capabilities_dropped,
        privileged,
        restart_policy: policy
            .filter(|name| *name != Restart::EMPTY)
            .map(|name| SafeText::new(name.as_ref())),
        labels: Vec::new(),
        published: Vec::new(),
    })
}

fn health(raw: &ContainerInspectResponse) -> Option<SafeText> {
    let status = raw.state.as_ref()?.health.as_ref()?.status?;
    (!matches!(status, Health::EMPTY | Health::NONE)).then(|| SafeText::new(status.as_ref()))
}

fn command(raw: &ContainerInspectResponse) -> Option<SafeText> {
    let words = raw.path.iter().chain(raw.args.iter().flatten());
    let mut command = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !command.is_empty() {
            command.push(' ');
        }
        // One more character than is kept shows that there is more.
        command.extend(word.chars().take(LONGEST_COMMAND + 1));
        if command.len() > 4 * LONGEST_COMMAND {
            break;
        }
    }
    (!command.is_empty()).then(|| SafeText::of_length(&command, LONGEST_COMMAND))
}

/// A limit; zero and less stand for none.
fn limit(limit: Option<i64>) -> Option<u64> {
    limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0)
}

/// A limit of processor time that was given as a quota of a period.
fn quota(config: &HostConfig) -> Option<u64> {
    let quota = u128::from(limit(config.cpu_quota)?);
    let period = limit(config.cpu_period).or(limit(Some(USUAL_PERIOD)))?;
    u64::try_from(quota * 1_000_000_000 / u128::from(period)).ok()
}

/// The capabilities beyond the usual ones, and the usual ones it does not have, by the engine's own order (see
/// [`super::rights`]).
fn capabilities(config: &HostConfig) -> (Vec<SafeText>, Vec<SafeText>) {
    let names = |list: &Option<Vec<String>>| -> BTreeSet<String> {
        let names = list.iter().flatten().take(MOST_CAPABILITIES);
        names
            .map(|name| {
                let upper = name.trim().to_ascii_uppercase();
                upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
            })
            .collect()
    };
    let (added, dropped) = (names(&config.cap_add), names(&config.cap_drop));
    let [all_added, all_dropped] = [&added, &dropped].map(|names| names.contains("ALL"));
    let is_usual = |name: &&String| USUAL.contains(&name.as_str());
    let beyond = added.iter().filter(|name| !is_usual(name) && (!all_added || *name == "ALL"));
    let missing = USUAL.iter().filter(|usual| {
        let (is_added, is_dropped) = (added.contains(**usual), dropped.contains(**usual));
        if all_added { is_dropped } else { (is_dropped || all_dropped) && !is_added }
    });
    (beyond.map(|name| SafeText::new(name)).collect(), missing.map(|name| SafeText::new(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::details;
    use crate::model::{Details, SafeText};

    fn of(json: &str) -> Option<Details> {
        details(&serde_json::from_str(json).unwrap())
    }

    #[track_caller]
    fn check_capabilities(add: &str, drop: &str, added: &[&str], missing: &[&str]) {
        let found =
            of(&format!(r#"{{"HostConfig":{{"Privileged":false,"CapAdd":{add},"CapDrop":{drop}}}}}"#))
                .unwrap();
        let texts = |names: &[SafeText]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(&found.capabilities_added), added, "{add} {drop}");
        assert_eq!(texts(&found.capabilities_dropped), missing, "{add} {drop}");
    }

    #[test]
    fn an_inspect_tells_what_matters_here() {
        let found = of(r#"{"Path":"nginx","Args":["-g","daemon off;"],"RestartCount":3,
            "State":{"Health":{"Status":"unhealthy"}},
            "HostConfig":{"Privileged":false,"Memory":268435456,"NanoCpus":1500000000,"PidsLimit":100,
              "RestartPolicy":{"Name":"unless-stopped"}}}"#)
        .unwrap();
        assert_eq!(
            found,
            Details {
                restarts: Some(3),
                health: Some(SafeText::new("unhealthy")),
                command: Some(SafeText::new("nginx -g daemon off;")),
                memory_limit: Some(268_435_456),
                nano_cpus: Some(1_500_000_000),
                pids_limit: Some(100),
                restart_policy: Some(SafeText::new("unless-stopped")),
                ..Details::default()
            }
        );
    }

    #[test]
    fn what_is_not_limited_has_no_limit_and_no_health_check_no_health() {
        let found = of(r#"{"State":{"Health":{"Status":"none"}},
            "HostConfig":{"Privileged":true,"Memory":0,"NanoCpus":0,"PidsLimit":-1,"CapAdd":["NET_ADMIN"],
              "RestartPolicy":{"Name":""}}}"#)
        .unwrap();
        assert_eq!(found, Details { privileged: true, ..Details::default() });
        assert_eq!(of(r#"{"HostConfig":{"NetworkMode":"x"}}"#), None, "a list tells none");
        assert_eq!(of("{}"), None);
    }

    #[test]
    fn a_quota_of_processor_time_is_a_limit() {
        let check = |config: &str, expected: Option<u64>| {
            let found = of(&format!(r#"{{"HostConfig":{{"Privileged":false,{config}}}}}"#)).unwrap();
            assert_eq!(found.nano_cpus, expected, "{config}");
        };
        check(r#""CpuQuota":50000"#, Some(500_000_000));
        check(r#""CpuQuota":50000,"CpuPeriod":25000"#, Some(2_000_000_000));
        check(r#""CpuQuota":-1,"CpuPeriod":25000"#, None);
        check(r#""CpuQuota":9223372036854775807,"CpuPeriod":1"#, None);
    }

    #[test]
    fn capabilities_are_those_beyond_and_those_short_of_the_usual() {
        check_capabilities("null", "null", &[], &[]);
        check_capabilities(
            r#"["NET_ADMIN","CHOWN","cap_sys_admin"]"#,
            "[]",
            &["NET_ADMIN", "SYS_ADMIN"],
            &[],
        );
        check_capabilities("[]", r#"["NET_RAW","SYS_TIME"]"#, &[], &["NET_RAW"]);
        check_capabilities(r#"["NET_RAW"]"#, r#"["NET_RAW"]"#, &[], &[]);
        check_capabilities(r#"["ALL","NET_ADMIN"]"#, r#"["MKNOD"]"#, &["ALL"], &["MKNOD"]);
        let all_but_chown: Vec<&str> = super::USUAL.into_iter().filter(|name| *name != "CHOWN").collect();
        check_capabilities(r#"["CHOWN"]"#, r#"["ALL"]"#, &[], &all_but_chown);
    }

    #[test]
    fn a_command_is_bounded_and_harmless() {
        let long = "x".repeat(4_000);
        let found = of(&format!(
            r#"{{"Path":"\u001b[31m","Args":["{long}","{long}","{long}"],"HostConfig":{{"Privileged":false}}}}"#
        ));
        let command = found.unwrap().command.unwrap();
        assert!(command.as_str().starts_with("\\u{1b}[31m xxx"), "{command}");
        assert!(command.as_str().ends_with('…'));
        assert!(command.as_str().chars().count() <= 1_024 + 6, "{}", command.as_str().chars().count());
    }
}
