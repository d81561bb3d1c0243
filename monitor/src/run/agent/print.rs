//! `agent --print-config`.

use crate::model::SafeText;
use crate::run::failure::Failure;
use crate::run::host;
use crate::run::output::Output;
use crate::settings::sources::{Entry, Loaded, Origin, Value};
use crate::wire::{SettingBody, SettingValue, Stream};
use std::time::Duration;

/// How long a reader that stands still may delay the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most characters of a value: as many as a path may have.
const LONGEST: usize = 4_096;

/// Prints what is in force and where each value comes from.
pub(in crate::run) async fn print(loaded: &Loaded) -> Result<(), Failure> {
    let mut output = Output::to(std::io::stdout());
    let printed = if loaded.settings.json {
        let mut stream = Stream::new(host::id()?);
        let lines = loaded.in_force.entries().map(|entry| stream.line(SettingBody::from(entry)) + "\n");
        output.print(&lines.collect::<String>()).await
    } else {
        output.print(&loaded.in_force.to_string()).await
    };
    // Who reads no more has what it wants.
    let _ = printed;
    output.finish(PATIENCE).await
}

impl From<&Entry> for SettingBody {
    fn from(entry: &Entry) -> Self {
        let said_by = (entry.origin != Origin::Default)
            .then(|| SafeText::of_length(&entry.origin.to_string(), LONGEST));
        Self {
            key: entry.path(),
            value: entry.value.as_ref().map(SettingValue::from),
            origin: entry.origin.name(),
            said_by,
            needs_restart: entry.needs_restart(),
        }
    }
}

impl From<&Value> for SettingValue {
    fn from(value: &Value) -> Self {
        let safe = |text: &String| SafeText::of_length(text, LONGEST);
        match value {
            Value::Switch(is_on) => Self::Switch(*is_on),
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) => Self::Text(safe(text)),
            Value::List(texts) => Self::List(texts.iter().map(safe).collect()),
        }
    }
}
