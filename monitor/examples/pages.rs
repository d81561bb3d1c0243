//! Writes the man pages and the completions for shells into a folder. `cargo xtask dist` runs it.
//!
//! An example and not a part of vethwatch: what writes them stays out of the program.

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;
use monitor::cli::Typed;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<()> {
    let folder: PathBuf = std::env::args_os().nth(1).context("name a folder")?.into();
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    for part in [&man, &completions] {
        fs::create_dir_all(part).with_context(|| format!("making {}", part.display()))?;
    }
    clap_mangen::generate_to(Typed::command(), &man).context("writing man pages")?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Typed::command(), "vethwatch", &completions)
            .with_context(|| format!("writing completions for {shell}"))?;
    }
    Ok(())
}
