//! What a client asks for.

use crate::cli::{self, FindingKind, NotAMoment};
use crate::engine::{Filter, Topic};
use crate::model::WallTime;
use crate::run::protocol;
use crate::settings::{self, Kinds, PastOf};
use crate::snapshot::AskedPast;
use clap::ValueEnum as _;
use hyper::{Method, StatusCode};
use std::borrow::Cow;
use std::time::Duration;

/// What can be asked, and what is told.
pub(super) const ENDPOINTS: [(&str, &str); 13] = [
    ("/v1/snapshot", "containers, networks, pairs and the status, as they are now"),
    ("/v1/containers", "containers and the status, as they are now"),
    ("/v1/networks", "networks and the status, as they are now"),
    ("/v1/pairs", "pairs and the status, as they are now"),
    ("/v1/latency", "how long services took to answer each other, and the status, as they are now"),
    ("/v1/failures", "what fails between services, and the status, as they are now"),
    ("/v1/services", "how connections are spread over replicas, and the status, as they are now"),
    ("/v1/flows?container=NAME&bridges=true", "flows, for as long as they are read"),
    ("/v1/dns?container=NAME", "names that containers ask for, for as long as they are read"),
    ("/v1/violations?kind=KIND,KIND", "findings, those that are open first, for as long as they are read"),
    (
        "/v1/history?of=KIND&container=NAME&since=TIME&until=TIME&step=TIME",
        "what was in a time of the last hour: containers, or one of them from step to step; or KIND: pairs, latency, failures, \
         services, dns, violations",
    ),
    ("/v1/health", "whether the agent counts"),
    ("/healthz", "the same"),
];

/// A request that makes sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What there is.
    Index,
    /// Whether the agent counts.
    Health,
    /// All rows.
    Snapshot,
    /// Containers.
    Containers,
    /// Networks.
    Networks,
    /// Pairs.
    Pairs,
    /// Latencies.
    Latency,
    /// What fails.
    Failures,
    /// Services.
    Services,
    /// A stream of flows.
    Flows(Filter),
    /// A stream of names that are asked for.
    Names(Filter),
    /// A stream of findings.
    Violations(Kinds),
    /// What was.
    History(settings::Past),
    /// What was, for a command of ours.
    Past(AskedPast),
    /// What a command of ours asks: snapshots, and records if there is a filter.
    Watch(Option<Filter>),
}

/// A request that makes none, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl Refused {
    fn bad(why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, why: why.into() }
    }
}

/// Understands a request.
///
/// # Errors
/// When there is nothing at its path, it is no `GET`, or a parameter is not understood.
pub(super) fn understand(method: &Method, path: &str, query: Option<&str>) -> Result<Wanted, Refused> {
    let known = ENDPOINTS.iter().map(|(endpoint, _)| endpoint.split('?').next().unwrap_or_default());
    if !known.chain(["/", protocol::PATH, protocol::PAST_PATH]).any(|known| known == path) {
        return Err(Refused {
            status: StatusCode::NOT_FOUND,
            why: "there is nothing here; / lists what is".into(),
        });
    }
    if method != Method::GET {
        return Err(Refused { status: StatusCode::METHOD_NOT_ALLOWED, why: "only GET".into() });
    }
    let mut parameters = Parameters::of(query.unwrap_or_default())?;
    let wanted = match path {
        "/v1/snapshot" => Wanted::Snapshot,
        "/v1/containers" => Wanted::Containers,
        "/v1/networks" => Wanted::Networks,
        "/v1/pairs" => Wanted::Pairs,
        "/v1/latency" => Wanted::Latency,
        "/v1/failures" => Wanted::Failures,
        "/v1/services" => Wanted::Services,
        "/v1/flows" => Wanted::Flows(flows(&mut parameters)?),
        "/v1/dns" => Wanted::Names(names(&mut parameters)),
        "/v1/violations" => Wanted::Violations(kinds(&mut parameters)?),
        "/v1/history" => Wanted::History(history(&mut parameters)?),
        protocol::PAST_PATH => Wanted::Past(past(&mut parameters)?),
        protocol::PATH => Wanted::Watch(watch(&mut parameters)?),
        "/" => Wanted::Index,
        _ => Wanted::Health,
    };
    parameters.no_more()?;
    Ok(wanted)
}

fn flows(parameters: &mut Parameters<'_>) -> Result<Filter, Refused> {
    let container = container(parameters);
    let include_bridges = match parameters.take("bridges").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refused::bad("bridges is true or false")),
    };
    Ok(Filter { container, include_bridges, ..Filter::default() })
}

fn names(parameters: &mut Parameters<'_>) -> Filter {
    Filter { topic: Topic::Names, container: container(parameters), ..Filter::default() }
}

fn container(parameters: &mut Parameters<'_>) -> Option<String> {
    parameters.take("container").filter(|name| !name.is_empty()).map(Cow::into_owned)
}

fn kinds(parameters: &mut Parameters<'_>) -> Result<Kinds, Refused> {
    let Some(text) = parameters.take("kind") else { return Ok(settings::kinds(&[])) };
    let kind = |name: &str| {
        FindingKind::from_str(name, false).map_err(|_| {
            Refused::bad(format!(
                "there is no kind {name}; there are violation, broken, crossing and posture"
            ))
        })
    };
    let kinds: Vec<FindingKind> = text.split(',').map(kind).collect::<Result<_, _>>()?;
    Ok(settings::kinds(&kinds))
}

fn history(parameters: &mut Parameters<'_>) -> Result<settings::Past, Refused> {
    let name = container(parameters);
    let step = parameter(parameters, "step", |text| cli::parse(text).map_err(|why| why.to_string()))?;
    let of = match parameters.take("of").as_deref() {
        None | Some("containers") if name.is_some() => PastOf::Course(step),
        _ if step.is_some() => return Err(Refused::bad("step is of the course of one container")),
        None | Some("containers") => PastOf::Containers,
        Some("pairs") => PastOf::Pairs,
        Some("networks") => PastOf::Networks,
        Some("latency") => PastOf::Latency,
        Some("failures") => PastOf::Failures,
        Some("services") => PastOf::Services,
        Some("dns") => PastOf::Names,
        Some("violations") => PastOf::Findings(kinds(parameters)?),
        Some(_) => {
            return Err(Refused::bad(
                "of is containers, pairs, networks, latency, failures, services, dns or violations",
            ));
        }
    };
    let when = |text: &str| text.parse().map_err(|why: NotAMoment| why.to_string());
    let since = parameter(parameters, "since", when)?;
    let until = parameter(parameters, "until", when)?;
    Ok(settings::Past { of, since, until, name })
}

/// A parameter that is read as something, if it is there.
fn parameter<T>(
    parameters: &mut Parameters<'_>,
    name: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Refused> {
    let Some(text) = parameters.take(name) else { return Ok(None) };
    read(&text).map(Some).map_err(|why| Refused::bad(format!("{name}: {why}")))
}

fn past(parameters: &mut Parameters<'_>) -> Result<AskedPast, Refused> {
    same_version(parameters)?;
    let number = |text: &str| text.parse().map_err(|_| "no number".to_owned());
    let since = parameter(parameters, "since", number)?.map(WallTime);
    let until = parameter(parameters, "until", number)?.map(WallTime);
    let millis = |text: &str| text.parse().map(Duration::from_millis).map_err(|_| "no number".to_owned());
    let step = parameter(parameters, "step_ms", millis)?;
    Ok(AskedPast { since, until, name: container(parameters), step })
}

fn same_version(parameters: &mut Parameters<'_>) -> Result<(), Refused> {
    let version = parameters.take("version").unwrap_or_default();
    if version == protocol::VERSION {
        return Ok(());
    }
    let why = format!("the agent is version {}, and was asked by version {version}", protocol::VERSION);
    Err(Refused { status: StatusCode::CONFLICT, why })
}

fn watch(parameters: &mut Parameters<'_>) -> Result<Option<Filter>, Refused> {
    same_version(parameters)?;
    let topic = match parameters.take("topic").as_deref() {
        None => return Ok(None),
        Some("flows") => Topic::Flows,
        Some("findings") => Topic::Findings,
        Some("all") => Topic::All,
        Some("names") => Topic::Names,
        Some(_) => return Err(Refused::bad("topic is flows, findings, all or names")),
    };
    Ok(Some(Filter { topic, ..flows(parameters)? }))
}

/// The parameters of a request that were not taken yet.
struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    fn of(query: &'a str) -> Result<Self, Refused> {
        let all: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(query.as_bytes()).collect();
        match all
            .iter()
            .enumerate()
            .find(|(at, (name, _))| all[..*at].iter().any(|(before, _)| before == name))
        {
            Some((_, (name, _))) => Err(Refused::bad(format!("{name} is there twice"))),
            None => Ok(Self(all)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn no_more(&self) -> Result<(), Refused> {
        match self.0.first() {
            Some((name, _)) => Err(Refused::bad(format!("there is no parameter {name} here"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, understand};
    use crate::engine::{Filter, Topic};
    use crate::run::protocol;
    use crate::snapshot::Kind;
    use hyper::Method;

    fn asked(path: &str) -> Result<Wanted, (u16, String)> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        understand(&Method::GET, path, query).map_err(|refused| (refused.status.as_u16(), refused.why))
    }

    #[test]
    fn a_request_is_understood() {
        assert_eq!(asked("/"), Ok(Wanted::Index));
        assert_eq!(asked("/healthz"), Ok(Wanted::Health));
        assert_eq!(asked("/v1/health"), Ok(Wanted::Health));
        assert_eq!(asked("/v1/flows"), Ok(Wanted::Flows(Filter::default())));
        let filter =
            Filter { container: Some("a b&c".to_owned()), include_bridges: true, ..Filter::default() };
        assert_eq!(asked("/v1/flows?bridges=true&container=a%20b%26c"), Ok(Wanted::Flows(filter)));
        let filter = Filter { topic: Topic::Names, container: Some("web".to_owned()), ..Filter::default() };
        assert_eq!(asked("/v1/dns?container=web"), Ok(Wanted::Names(filter)));
        let Ok(Wanted::Violations(kinds)) = asked("/v1/violations?kind=crossing,posture") else { panic!() };
        assert_eq!((kinds.of_traffic, kinds.posture), (vec![Kind::Crossing], true));
    }

    #[test]
    fn what_a_command_asks_is_understood_as_it_was_meant() {
        let filter = |topic, container: Option<&str>| Filter {
            topic,
            container: container.map(str::to_owned),
            include_bridges: true,
            ..Filter::default()
        };
        for filter in [
            None,
            Some(Filter { topic: Topic::Findings, ..Filter::default() }),
            Some(filter(Topic::All, None)),
            Some(filter(Topic::Names, None)),
            Some(filter(Topic::Flows, Some("wéb &?=#/\n"))),
        ] {
            let path = format!("{}?{}", protocol::PATH, protocol::query(filter.as_ref()));
            assert_eq!(asked(&path), Ok(Wanted::Watch(filter)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_reason() {
        for (path, status, why) in [
            ("/v2/flows", 404, "/ lists"),
            ("/v1/flows/", 404, "/ lists"),
            ("/v1/flows?bridges=maybe", 400, "true or false"),
            ("/v1/flows?bridges=true&bridges=true", 400, "twice"),
            ("/v1/flows?since=1", 400, "no parameter since"),
            ("/v1/snapshot?container=web", 400, "no parameter container"),
            ("/v1/violations?kind=all", 400, "no kind all"),
            ("/v1/violations?kind=", 400, "no kind"),
            ("/private/watch", 409, "asked by version"),
            ("/private/watch?version=0.0.1&topic=flows", 409, "asked by version 0.0.1"),
        ] {
            let (told, said) = asked(path).expect_err(path);
            assert!(told == status && said.contains(why), "{path}: {told} {said}");
        }
        let refused = understand(&Method::POST, "/v1/flows", None).unwrap_err();
        assert_eq!(refused.status.as_u16(), 405);
    }
}
