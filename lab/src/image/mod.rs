//! Images made on this machine, without a registry.
//!
//! An image carries the fingerprint of what it was made from as a label and is made again only when that changed.

mod archive;
mod debian;
mod program;
mod testbox;
mod vethwatch;

use crate::{command, docker, docker_within};
use anyhow::{Context, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The image with this project's own program for demo and tests; can be made on any distribution.
pub const TESTBOX: &str = "vw-testbox:latest";

/// The image with nginx, Flask, iperf3 and network tools; can be made on Debian.
pub const DEBIAN: &str = "vw-lab:latest";

/// Label with the fingerprint of what an image was made from.
const RECIPE: &str = "vethwatch.recipe";

/// Marks an image that is for tests alone.
const FOR_TESTS: &str = "LABEL vethwatch.test=1";

/// Making an image compiles, or unpacks packages from the network.
const PATIENCE: Duration = Duration::from_secs(600);

pub use debian::make as make_debian;
pub(crate) use program::libraries;
pub use testbox::make as make_testbox;
pub use vethwatch::make as make_vethwatch;

/// Makes sure that an image exists, and returns its name.
///
/// `cargo xtask test` makes the images before it runs anything and says so by `VW_IMAGES_READY`; a test that is run
/// by hand has `cargo xtask image` make its image now.
///
/// # Errors
/// The image cannot be made.
pub fn ready(image: &str) -> Result<String> {
    if std::env::var_os("VW_IMAGES_READY").is_none() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["xtask", "image", image]).current_dir(env!("CARGO_MANIFEST_DIR"));
        command::text(&mut command, PATIENCE).with_context(|| format!("making the image {image}"))?;
    }
    Ok(image.to_owned())
}

/// Whether an image of this name exists, whatever is in it.
///
/// # Errors
/// Docker does not answer.
pub fn exists(image: &str) -> Result<bool> {
    docker(&["images", "--quiet", image]).map(|ids| !ids.is_empty())
}

/// Whether an image made from exactly this recipe exists.
fn is_current(image: &str, recipe: &str) -> Result<bool> {
    let format = format!("{{{{index .Config.Labels {RECIPE:?}}}}}");
    Ok(exists(image)? && docker(&["image", "inspect", "--format", &format, image])? == recipe)
}

/// Makes an image of an archive of its root folder.
fn import(archive: &Path, image: &str, recipe: &str, changes: &[&str]) -> Result<()> {
    let archive = archive.to_str().context("the archive's path is not UTF-8")?;
    let label = format!("LABEL {RECIPE}={recipe}");
    let mut arguments = vec!["import"];
    for change in [label.as_str()].into_iter().chain(changes.iter().copied()) {
        arguments.extend(["--change", change]);
    }
    arguments.extend([archive, image]);
    let replaced = docker(&["images", "--quiet", "--no-trunc", image])?;
    docker_within(&arguments, PATIENCE)?;
    if !replaced.is_empty() {
        // Still in use by somebody's container: it stays, nameless, and is theirs to remove.
        let _ = docker(&["rmi", &replaced]);
    }
    Ok(())
}

/// A fingerprint that changes when the parts do.
fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_fingerprint_tells_where_one_part_ends() {
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
        assert_eq!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"ab", b"c"]));
    }
}
