//! Firewall rules of a test's own.

use crate::command::text;
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

/// Rules in a chain of iptables or ip6tables, removed when dropped. Each must name a device of the lab.
#[derive(Debug, Default)]
pub struct Rules {
    made: Vec<(&'static str, Vec<String>)>,
    /// The first rule makes its table, which would stay when the rule goes.
    made_table: bool,
}

/// The one table that a host may lack before our first rule: Docker's own are IPv4's.
const TABLE: [&str; 3] = ["table", "ip6", "filter"];

impl Rules {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a rule first in its chain: `words` begin with the chain, or with `-t` and its table.
    ///
    /// # Errors
    /// The program is not there or refuses, or this is not root.
    pub fn insert(&mut self, program: &'static str, words: &str) -> Result<()> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let was_there = program != "ip6tables" || table()?.is_some();
        run(program, "-I", &words)?;
        self.made_table |= !was_there;
        self.made.push((program, words));
        Ok(())
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        for (program, words) in self.made.iter().rev() {
            if let Err(error) = run(program, "-D", words) {
                eprintln!("{error:#}");
            }
        }
        if self.made_table
            && let Err(error) = remove_empty_table()
        {
            eprintln!("{error:#}");
        }
    }
}

/// The table as it is; `None` if there is none.
fn table() -> Result<Option<String>> {
    let tables = nft(&["list", "tables"])?;
    let is_there = tables.lines().any(|line| line.split_whitespace().eq(TABLE));
    is_there.then(|| nft(&[&["list"], &TABLE[..]].concat())).transpose()
}

/// Removes the table, unless somebody else has come to use it.
fn remove_empty_table() -> Result<()> {
    let Some(table) = table()? else { return Ok(()) };
    let says_nothing = |line: &str| {
        let line = line.trim();
        line == "}" || line.ends_with('{') || (line.starts_with("type ") && line.ends_with("policy accept;"))
    };
    if !table.lines().all(|line| line.trim().is_empty() || says_nothing(line)) {
        return Ok(());
    }
    nft(&[&["delete"], &TABLE[..]].concat()).map(drop)
}

fn nft(words: &[&str]) -> Result<String> {
    text(Command::new("nft").args(words), Duration::from_secs(15))
}

fn run(program: &str, action: &str, words: &[String]) -> Result<()> {
    let (table, rule): (Vec<&String>, Vec<&String>) = match words {
        [option, table, rule @ ..] if option == "-t" => (vec![option, table], rule.iter().collect()),
        rule => (Vec::new(), rule.iter().collect()),
    };
    let mut command = Command::new(program);
    command.args(["-w", "10"]).args(table).arg(action).args(rule);
    text(&mut command, Duration::from_secs(15)).map(drop)
}
