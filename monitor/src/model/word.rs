//! Fixed words: names that this program gives, and that are part of the JSON.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// The most words that are read in a process's life; there are some dozens.
const MOST: usize = 512;
/// The longest word that is read.
const LONGEST: usize = 64;

/// A fixed word.
pub type Word = &'static str;

/// Words that were read. They stay as long as the process, which their number bounds.
static READ: Mutex<BTreeSet<Word>> = Mutex::new(BTreeSet::new());

/// Reads a fixed word.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    word(String::deserialize(deserializer)?)
}

/// Reads a fixed word that may be absent.
pub(crate) fn read_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Word>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(word).transpose()
}

/// Reads a map by fixed words.
pub(crate) fn read_keys<'de, D, T>(deserializer: D) -> Result<BTreeMap<Word, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let map = BTreeMap::<String, T>::deserialize(deserializer)?;
    map.into_iter().map(|(key, value)| Ok((word(key)?, value))).collect()
}

fn word<E: Error>(text: String) -> Result<Word, E> {
    let mut words = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(text.as_str()) {
        return Ok(known);
    }
    let is_word = (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    if !is_word || words.len() >= MOST {
        return Err(E::custom("not a fixed word"));
    }
    let word: Word = Box::leak(text.into_boxed_str());
    words.insert(word);
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::{Word, word};

    fn read(text: &str) -> Result<Word, serde_json::Error> {
        word(text.to_owned())
    }

    #[test]
    fn a_word_is_kept_once_and_what_is_none_is_refused() {
        let [one, again] = ["published-port", "published-port"].map(|text| read(text).unwrap());
        assert_eq!(one, "published-port");
        assert!(std::ptr::eq(one, again), "it is the same word, not another copy");
        for text in ["", "\u{1b}[31m", "Two Words", &"x".repeat(65)] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
