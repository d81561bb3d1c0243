//! The kernel's side.

use super::Finding;
use crate::collector::probe::{Cgroups, Elsewhere, Report};
use crate::model::{AttachMode, SafeText};
use std::path::Path;

pub(super) fn judge(report: &Report, attach: Option<AttachMode>) -> Vec<Finding> {
    vec![
        kernel(report),
        capabilities(report),
        attach_mode(report, attach),
        btf(report),
        jit(report),
        cgroups(report),
        pins(report),
    ]
}

fn kernel(report: &Report) -> Finding {
    let release = &report.kernel.release;
    if report.kernel.is_supported() {
        Finding::ok("kernel", release)
    } else {
        Finding::missing("kernel", release, "use Linux 5.15 or newer")
    }
}

fn capabilities(report: &Report) -> Finding {
    let missing = &report.capabilities.missing;
    if missing.is_empty() {
        return Finding::ok("capabilities", report.capabilities.held.join(", "));
    }
    Finding::missing("capabilities", format!("{} missing", missing.join(", ")), "run it as root")
}

fn attach_mode(report: &Report, attach: Option<AttachMode>) -> Finding {
    let newer = "use Linux 6.6 or newer for TCX, whose links end with the process";
    match (attach, report.tcx) {
        (Some(AttachMode::Tcx), true) => Finding::ok("attach", "tcx, as asked for"),
        (None, true) => Finding::ok("attach", "tcx, and clsact for devices that come together"),
        (Some(AttachMode::Clsact), true) => Finding::ok("attach", "clsact, as asked for; tcx is there"),
        (Some(AttachMode::Tcx), false) if report.capabilities.missing.is_empty() => {
            Finding::missing("attach", "tcx was asked for and is not there", "attach by clsact")
        }
        _ if !report.capabilities.missing.is_empty() => {
            Finding::limited("attach", "cannot be told without the capabilities above", "run it as root")
        }
        (_, false) => {
            let found = "clsact: a killed vethwatch leaves programs behind, which the next start removes";
            Finding::limited("attach", found, newer)
        }
    }
}

fn btf(report: &Report) -> Finding {
    if report.btf {
        Finding::ok("btf", "/sys/kernel/btf/vmlinux")
    } else {
        Finding::limited(
            "btf",
            "the kernel does not describe its types: what it drops is not told",
            "use a kernel with CONFIG_DEBUG_INFO_BTF",
        )
    }
}

fn jit(report: &Report) -> Finding {
    match report.jit {
        Some(true) => Finding::ok("jit", "programs are compiled"),
        Some(false) => Finding::limited(
            "jit",
            "programs are interpreted, which is slow",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        None => Finding::limited(
            "jit",
            "/proc/sys/net/core/bpf_jit_enable cannot be read",
            "run it as root, in the host's own namespaces",
        ),
    }
}

fn cgroups(report: &Report) -> Finding {
    match report.cgroups {
        Cgroups::V2 => Finding::ok("cgroups", "version 2"),
        Cgroups::Hybrid => Finding::ok("cgroups", "version 1, with version 2 beside it"),
        Cgroups::V1 | Cgroups::None => Finding::limited(
            "cgroups",
            "no version 2: containers in host mode are not counted, and those that share a namespace not told apart",
            "mount cgroup version 2",
        ),
    }
}

fn pins(report: &Report) -> Finding {
    if report.bpf_fs {
        return Finding::ok(
            "pins",
            "/sys/fs/bpf: an agent that is killed counts on, and the next one goes on",
        );
    }
    let found = "no BPF file system at /sys/fs/bpf: what crosses while no agent runs is not counted";
    Finding::limited("pins", found, "mount -t bpf bpf /sys/fs/bpf")
}

/// Bridges in other namespaces, but where what crosses them is seen in the namespaces of the containers behind them.
pub(super) fn elsewhere(report: &Report, has_ends_inside: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let unseen = report.elsewhere.iter().filter(|elsewhere| !has_ends_inside(&elsewhere.path));
    unseen.map(one_elsewhere).chain(unreadable(report)).collect()
}

fn unreadable(report: &Report) -> Option<Finding> {
    let paths: Vec<String> = report.unreadable.iter().map(|path| path.display().to_string()).collect();
    let found = format!("could not look into {}", paths.join(", "));
    (!paths.is_empty()).then(|| Finding::limited("namespaces", found, "run it as root with CAP_SYS_ADMIN"))
}

fn one_elsewhere(elsewhere: &Elsewhere) -> Finding {
    let list = |names: &[SafeText]| names.iter().map(SafeText::as_str).collect::<Vec<_>>().join(", ");
    let path = elsewhere.path.display();
    let found = format!(
        "the namespace {path} has bridges ({}) with ports ({}) that cannot be seen from here",
        list(&elsewhere.bridges),
        list(&elsewhere.ports),
    );
    Finding::limited(
        "namespaces",
        found,
        format!("run a second one there: nsenter --net={path} vethwatch top"),
    )
}
