//! What messages are made of.

use super::QUOTED;
use toml::de::DeValue;

/// What a value is, in words.
#[must_use]
pub fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let quoted: String = text.chars().take(QUOTED).collect();
            let cut = if text.chars().nth(QUOTED).is_some() { "…" } else { "" };
            format!("the text \"{quoted}{cut}\"")
        }
        DeValue::Integer(number) => {
            format!("the number {}", number.to_string().chars().take(QUOTED).collect::<String>())
        }
        DeValue::Float(_) => "a number with a fraction".to_owned(),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(list) if list.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Words to choose from, as a sentence has them.
#[must_use]
pub fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
