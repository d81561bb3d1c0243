//! The queries of the dashboard.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const DASHBOARD: &str = include_str!("../../../../contrib/grafana/vethwatch.json");

/// What Grafana puts in the place of variables: everything, and a window of some scrapes.
const VARIABLES: [(&str, &str); 5] = [
    ("$instance", ".*"),
    ("$project", ".*"),
    ("$service", ".*"),
    ("$container", ".*"),
    ("$__rate_interval", "20s"),
];

/// A query of a panel or a variable.
#[derive(Debug)]
pub(crate) struct Query {
    /// The panel's title, for whoever reads that it failed.
    #[expect(dead_code, reason = "it is told when the query has no data")]
    of: String,
    pub(crate) expression: String,
    /// The label that a variable lists.
    label: Option<String>,
}

impl Query {
    fn new(of: &str, expression: &str, label: Option<&str>) -> Result<Self> {
        let mut expression = expression.to_owned();
        for (variable, value) in VARIABLES {
            expression = expression.replace(variable, value);
        }
        ensure!(!expression.contains('$'), "{of} has a variable that is not known: {expression}");
        Ok(Self { of: of.to_owned(), expression, label: label.map(str::to_owned) })
    }

    /// Whether these are data: something that is a number, with the label that is listed.
    pub(crate) fn is_answered_by(&self, found: &[Value]) -> bool {
        let is_number = |value: &Value| {
            let text = value["value"][1].as_str().unwrap_or("NaN");
            text.parse::<f64>().is_ok_and(f64::is_finite)
        };
        let has_label = |value: &Value| match &self.label {
            Some(label) => value["metric"][label].is_string(),
            None => true,
        };
        found.iter().any(|value| is_number(value) && has_label(value))
    }
}

/// All of them.
pub(crate) fn queries() -> Result<Vec<Query>> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).context("reading the dashboard")?;
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().context("panels")? {
        let title = panel["title"].as_str().context("a title")?;
        let targets = panel["targets"].as_array();
        ensure!(targets.is_some() != (panel["type"] == "row"), "{title}: only rows have no queries");
        for target in targets.into_iter().flatten() {
            queries.push(Query::new(title, target["expr"].as_str().context("a query")?, None)?);
        }
    }
    for variable in dashboard["templating"]["list"].as_array().context("variables")? {
        let Some(query) = variable["query"]["query"].as_str() else { continue };
        let inside = query.strip_prefix("label_values(").and_then(|query| query.strip_suffix(')'));
        let (series, label) =
            inside.and_then(|it| it.rsplit_once(", ")).context("label_values(series, label)")?;
        queries.push(Query::new(query, &format!("count by ({label}) ({series})"), Some(label))?);
    }
    Ok(queries)
}
