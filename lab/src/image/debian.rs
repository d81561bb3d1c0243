//! The Debian image: nginx, Flask, iperf3 and network tools, from the package sources of this machine.
//!
//! Packages are unpacked without running their scripts, which takes seconds instead of a minute; [`SETUP`] does the
//! few things that those scripts would have done.

use super::{DEBIAN, FOR_TESTS, PATIENCE, fingerprint, import, is_current};
use crate::command::{privileged, text};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What is in it.
const PACKAGES: &str = "dash,coreutils,libc-bin,iproute2,iputils-ping,iputils-arping,curl,iperf3,tcpdump,ethtool,\
    wrk,netcat-openbsd,python3-minimal,python3-flask,nginx-light";

/// Turns the folder of unpacked packages (`$1`) into a root folder, and that into an archive (`$2`).
const SETUP: &str = r#"
set -eu
root=$1 archive=$2
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/run" "$root/root" \
    "$root/var/log/nginx" "$root/var/lib/nginx" "$root/etc/nginx/conf.d"
chmod 1777 "$root/tmp"
cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/sh
tcpdump:x:102:102::/:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/sh
END
printf 'root:x:0:\nwww-data:x:33:\ntcpdump:x:102:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
ln -sf dash "$root/bin/sh"
[ -e "$root/bin/nc" ] || ln -s nc.openbsd "$root/bin/nc"
rm -rf "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/locale "$root"/usr/share/info \
    "$root"/usr/share/perl* "$root"/usr/bin/perl* "$root"/usr/lib/*/perl* "$root"/usr/lib/*/gconv \
    "$root"/var/cache/* "$root"/var/lib/apt "$root"/var/lib/dpkg
rm -f "$root"/etc/nginx/sites-enabled/* "$root"/etc/resolv.conf "$root"/usr/lib/*/libperl.so*
chroot "$root" /sbin/ldconfig
chroot "$root" /usr/bin/python3 -m compileall -q /usr/lib/python3 /usr/lib/python3.* >/dev/null 2>&1 || true
tar -C "$root" --numeric-owner --one-file-system -cf "$archive.part" .
mv "$archive.part" "$archive"
"#;

/// Makes the image unless it exists already. The archive of its content is kept in `cache`.
///
/// # Errors
/// This is no Debian, mmdebstrap is not installed, packages cannot be had, or Docker refuses.
pub fn make(cache: &Path) -> Result<()> {
    let release = release()?;
    let recipe = fingerprint(&[PACKAGES.as_bytes(), SETUP.as_bytes(), release.as_bytes()]);
    if is_current(DEBIAN, &recipe)? {
        return Ok(());
    }
    fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    let archive = cache.join(format!("vw-lab-{recipe}.tar"));
    if !archive.exists() {
        unpack(&release, cache, &archive)?;
    }
    let path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    import(&archive, DEBIAN, &recipe, &[FOR_TESTS, path, r#"CMD ["sleep","infinity"]"#])
}

fn unpack(release: &str, cache: &Path, archive: &Path) -> Result<()> {
    let root = cache.join("root");
    remove_folder(&root)?;
    let sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
    let sources = sources
        .into_iter()
        .find(|file| Path::new(file).exists())
        .context("no apt sources on this machine")?;
    let mut unpack = privileged("mmdebstrap");
    unpack.args(["--quiet", "--variant=extract", "--mode=root", "--skip=check/empty,output/dev"]);
    unpack.args([&format!("--include={PACKAGES}"), "--format=directory", release]).arg(&root).arg(sources);
    text(&mut unpack, PATIENCE).context("unpacking packages")?;
    let mut set_up = privileged("sh");
    set_up.args(["-c", SETUP, "set-up"]).arg(&root).arg(archive);
    text(&mut set_up, PATIENCE).context("making a root folder of unpacked packages")?;
    remove_folder(&root)
}

fn remove_folder(folder: &Path) -> Result<()> {
    let mut remove = privileged("rm");
    text(remove.args(["-rf", "--one-file-system"]).arg(folder), Duration::from_secs(60)).map(drop)
}

/// The code name of this Debian release.
fn release() -> Result<String> {
    let file = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    let value = |key: &str| {
        file.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    ensure!(
        value("ID") == Some("debian"),
        "the image {DEBIAN} is made of Debian packages, and this is {}",
        value("PRETTY_NAME").unwrap_or("another system")
    );
    let has_tool = Command::new("mmdebstrap").arg("--version").output().is_ok();
    ensure!(has_tool, "the image {DEBIAN} needs mmdebstrap: apt-get install mmdebstrap");
    value("VERSION_CODENAME").map(str::to_owned).context("/etc/os-release names no VERSION_CODENAME")
}
