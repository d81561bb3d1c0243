//! `cargo xtask dist` and `cargo xtask package`: what is given to those who use vethwatch.
//!
//! ```text
//! target/dist/man, completions     pages, written from what may be typed
//! target/dist/vethwatch_*.deb      the Debian package
//! target/dist/stage/release        what goes into it, laid out as cargo-deb looks for it
//! ```

mod tool;

use crate::cargo::{Profile, build, cargo, target_folder, workspace};
use crate::test::is_installed;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build vethwatch for debugging, which is quicker to compile.
    #[arg(long)]
    dev: bool,
}

/// Writes the pages, and says where they are.
pub(crate) fn dist() -> Result<()> {
    let folder = folder();
    pages(&folder)?;
    println!("{}", folder.display());
    Ok(())
}

/// Makes the Debian package, and says where it is.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let profile = if arguments.dev { Profile::Dev } else { Profile::Release };
    println!("{}", make(profile)?.display());
    Ok(())
}

/// Makes the Debian package; where it is.
pub(crate) fn make(profile: Profile) -> Result<PathBuf> {
    let program = build(&[("monitor", "vethwatch")], profile)?.pop().context("cargo built nothing")?;
    // cargo-deb goes on without them, to a package that does not say what it needs.
    for (program, package) in [("dpkg-shlibdeps", "dpkg-dev"), ("strip", "binutils"), ("xz", "xz-utils")] {
        ensure!(is_installed(program), "a package is made with {program}, of Debian's {package}");
    }
    let tool = tool::find()?;
    let folder = folder();
    let stage = folder.join("stage");
    lay_out(&program, &stage.join("release"))?;
    pack(&tool, &stage, &folder, profile == Profile::Dev)
}

fn folder() -> PathBuf {
    target_folder().join("dist")
}

/// Man pages and completions. An example of `monitor` writes them.
fn pages(folder: &Path) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "monitor", "--example", "pages", "--"]).arg(folder);
    let status = command.status().context("starting cargo")?;
    ensure!(status.success(), "writing man pages and completions failed");
    Ok(())
}

/// Puts what has to be built to where cargo-deb looks for what was built for release, whatever it was built for.
fn lay_out(program: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::copy(program, folder.join("vethwatch")).context("copying vethwatch")?;
    pages(folder)?;
    compress(&folder.join("man"))
}

/// Debian wants man pages compressed, without a time in them.
fn compress(folder: &Path) -> Result<()> {
    let mut gzip = Command::new("gzip");
    let status =
        gzip.args(["-9", "--no-name", "--recursive"]).arg(folder).status().context("starting gzip")?;
    ensure!(status.success(), "compressing {} failed", folder.display());
    Ok(())
}

/// Has cargo-deb make the package; it strips the program, and finds out which libraries it needs.
fn pack(tool: &Path, stage: &Path, folder: &Path, fast: bool) -> Result<PathBuf> {
    let mut command = Command::new(tool);
    command.current_dir(workspace()).env("CARGO_TARGET_DIR", stage);
    command
        .args(["--package", "monitor", "--no-build", "--strip", "--compress-system", "--quiet", "--output"])
        .arg(folder);
    if fast {
        command.arg("--fast");
    }
    let output = command.output().context("starting cargo-deb")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo-deb: {}", said.trim());
    let made = String::from_utf8(output.stdout).context("reading what cargo-deb says")?;
    let made = made.lines().map(str::trim).rfind(|line| line.ends_with(".deb"));
    made.map(PathBuf::from).context("cargo-deb did not say where the package is")
}
