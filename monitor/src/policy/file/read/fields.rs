//! A table of the file whose keys are known.

use crate::document::{Mistakes, describe, nearest, one_of};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table of the file.
pub(super) struct Fields<'d, 't> {
    table: &'d DeTable<'t>,
    /// Where it is.
    pub(super) span: Range<usize>,
    /// What it is, in words.
    pub(super) what: &'static str,
}

impl<'d, 't> Fields<'d, 't> {
    /// Takes a value as a table with some of these keys; others are mistakes.
    pub(super) fn open(
        value: &'d Spanned<DeValue<'t>>,
        what: &'static str,
        keys: &[&'static str],
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            let found = describe(value.get_ref());
            mistakes.add(&value.span(), format_args!("{what} is {found}"), "a table");
            return None;
        };
        for key in table.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let written: String = key.get_ref().chars().take(64).collect();
            let message = format!("unknown key `{written}` in {what}");
            match nearest(&written, keys.iter().copied()) {
                Some(near) => mistakes.add(&key.span(), message, format_args!("`{near}`")),
                None => mistakes.add(&key.span(), message, one_of(keys)),
            }
        }
        Some(Self { table, span: value.span(), what })
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'d Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    /// The value of a key that must be there.
    pub(super) fn need(
        &self,
        key: &str,
        example: &str,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<&'d Spanned<DeValue<'t>>> {
        let value = self.get(key);
        if value.is_none() {
            let message = format_args!("{} has no `{key}`", self.what);
            mistakes.missing(&self.span, message, format_args!("`{key} = {example}`"));
        }
        value
    }

    /// Whether it has no other keys than these.
    pub(super) fn has_only(&self, keys: &[&str]) -> bool {
        self.table.keys().all(|key| keys.contains(&key.get_ref().as_ref()))
    }
}
