//! The few questions that are asked of Docker, each with a time limit and an answer in terms of the model.

use super::host::Host;
use super::mapping::{self, Event, ListedEndpoint};
use super::refusals::Refusals;
use super::transport::{TooLong, Transport};
use crate::model::{Container, ContainerId, Network, NetworkId, SafeText, SwarmMember};
use bollard::errors::Error;
use bollard::models::{EventMessage, SystemInfo, SystemVersion};
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectNetworkOptionsBuilder, ListContainersOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use futures_util::{Stream, StreamExt as _};
use std::collections::HashMap;
use std::time::Duration;

/// The first API version of an engine that has gateway modes: Docker 27's.
const GATEWAY_MODES: ClientVersion = ClientVersion { major_version: 1, minor_version: 46 };

/// What Podman calls itself among the components of its version.
const PODMAN: &str = "Podman Engine";

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Docker cannot be reached.
    #[error("{0}")]
    Away(SafeText),
    /// It did not answer in time.
    #[error("Docker did not answer within {0:?}")]
    Slow(Duration),
    /// What it answered makes no sense.
    #[error("{0}")]
    Refused(SafeText),
    /// There is no such object.
    #[error("no such object")]
    Gone,
}

/// What Docker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// Its version.
    pub(super) version: SafeText,
    /// The API version in use.
    pub(super) api: SafeText,
    /// Whether it is rootless.
    pub(super) rootless: bool,
    /// Whether its experimental features are on, if it tells.
    pub(super) experimental: Option<bool>,
    /// Whether it is Podman, which answers as Docker does.
    pub(super) is_podman: bool,
}

/// A network with what it lists.
#[derive(Debug)]
pub(super) struct NetworkAnswer {
    /// The network.
    pub(super) network: Network,
    /// The endpoints on it.
    pub(super) endpoints: Vec<ListedEndpoint>,
    /// Who else is there in the swarm; absent where that was not told.
    pub(super) members: Option<Vec<SwarmMember>>,
}

/// An answer, and what of it was dropped.
pub(super) struct Answer<T> {
    /// The answer.
    pub(super) value: T,
    /// What was dropped.
    pub(super) refusals: Refusals,
}

/// Docker's API at one host.
#[derive(Clone)]
pub(super) struct Api {
    docker: Docker,
    transport: Transport,
    patience: Duration,
}

impl Api {
    /// Prepares to ask a host; `patience` is how long an answer may take. Nothing is sent yet.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub(super) fn new(host: &Host, patience: Duration) -> Result<Self, Failure> {
        let transport = Transport::new(host.clone());
        let carrier = transport.clone();
        let send = move |request: BollardRequest| carrier.clone().send(request);
        // The limit of the client covers the head of an answer only, in whole seconds; `within` covers all of it.
        let seconds = patience.as_secs().saturating_add(1);
        let docker =
            Docker::connect_with_custom_transport(send, Some("http://docker"), seconds, API_DEFAULT_VERSION)?;
        Ok(Self { docker, transport, patience })
    }

    /// Asks what Docker is, and agrees on an API version: the older of its newest and ours.
    ///
    /// # Errors
    /// When `GET /version` has no usable answer. A refused `GET /info` only leaves what it tells unknown; an
    /// engine that does not say so is not rootless.
    pub(super) async fn agree(&self) -> Result<Answer<About>, Failure> {
        let version: SystemVersion = self.within(self.docker.version()).await?;
        let api = agreed(version.api_version.as_deref().unwrap_or(""))?;
        self.transport.use_version(api);
        let mut refusals = Refusals::default();
        let info = match self.within(self.docker.info()).await {
            Ok(info) => info,
            Err(Failure::Refused(reason)) => {
                refusals.refuse(reason);
                SystemInfo::default()
            }
            Err(failure) => return Err(failure),
        };
        let is_podman = version.components.iter().flatten().any(|component| component.name == PODMAN);
        let mut name = version.version.unwrap_or_else(|| "unknown".to_owned());
        if is_podman {
            name.push_str(" (Podman)");
        }
        let about = About {
            version: SafeText::new(&name),
            api: SafeText::new(&api.to_string()),
            rootless: is_rootless(&info),
            experimental: info.experimental_build,
            is_podman,
        };
        Ok(Answer { value: about, refusals })
    }

    /// Whether Docker still answers.
    ///
    /// # Errors
    /// When it does not.
    pub(super) async fn ping(&self) -> Result<(), Failure> {
        self.within(self.docker.ping()).await.map(drop)
    }

    /// The events from a moment on, in nanoseconds on the wall clock. The stream is asked for when first polled.
    pub(super) fn events(
        &self,
        since: i64,
    ) -> impl Stream<Item = Result<Answer<Option<Event>>, Failure>> + use<> {
        let since = format!("{}.{:09}", since.div_euclid(1_000_000_000), since.rem_euclid(1_000_000_000));
        let filters =
            HashMap::from([("type", vec!["container", "network"]), ("event", mapping::WATCHED.to_vec())]);
        let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
        let transport = self.transport.clone();
        self.docker.events(Some(options)).map(move |message| read_event(message, &transport))
    }

    /// Waits until the event stream has begun.
    ///
    /// # Errors
    /// When it does not begin in time.
    pub(super) async fn subscribed(&self) -> Result<(), Failure> {
        let subscribed = tokio::time::timeout(self.patience, self.transport.subscribed()).await;
        subscribed.map_err(|_| Failure::Slow(self.patience))
    }

    /// Whether this engine looks at the gateway modes of networks.
    fn has_gateway_modes(&self) -> bool {
        self.transport.version().is_some_and(|version| version >= GATEWAY_MODES)
    }

    /// All networks, at most `most`.
    ///
    /// # Errors
    /// When the list has no usable answer.
    pub(super) async fn networks(&self, most: usize) -> Result<Answer<Vec<Network>>, Failure> {
        let mut listed = self.within(self.docker.list_networks(None)).await?;
        let mut refusals = cut(&mut listed, most, "networks");
        let has_modes = self.has_gateway_modes();
        let networks = listed.into_iter().map(mapping::from_list);
        let networks = networks.filter_map(|raw| mapping::network(&raw, has_modes, &mut refusals)).collect();
        Ok(Answer { value: networks, refusals })
    }

    /// One network and its endpoints. Of a network of a swarm also who else is there; an answer about that which makes no
    /// sense, or is too long, leaves what the rest says.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub(super) async fn network(
        &self,
        id: &NetworkId,
        in_swarm: bool,
    ) -> Result<Answer<NetworkAnswer>, Failure> {
        let (mut refusals, has_modes) = (Refusals::default(), self.has_gateway_modes());
        let all = InspectNetworkOptionsBuilder::new().verbose(true).build();
        let all = in_swarm.then_some(all);
        let (mut raw, has_members) = match self.within(self.docker.inspect_network(id.as_str(), all)).await {
            Err(Failure::Refused(reason)) if in_swarm => {
                refusals.refuse(reason);
                (self.within(self.docker.inspect_network(id.as_str(), None)).await?, false)
            }
            answer => (answer?, true),
        };
        let network = mapping::network(&raw, has_modes, &mut refusals).filter(|network| network.id == *id);
        let network = network.ok_or_else(|| other_object("network", id.short()))?;
        let members = has_members.then(|| mapping::members(&raw, &mut refusals));
        let endpoints = mapping::listed_endpoints(id, raw.containers.take(), &mut refusals);
        Ok(Answer { value: NetworkAnswer { network, endpoints, members }, refusals })
    }

    /// All containers, at most `most`, as the list tells them: without process and namespace.
    ///
    /// # Errors
    /// When the list has no usable answer.
    pub(super) async fn containers(&self, most: usize) -> Result<Answer<Vec<Container>>, Failure> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let mut listed = self.within(self.docker.list_containers(Some(options))).await?;
        let mut refusals = cut(&mut listed, most, "containers");
        let containers = listed.into_iter().map(mapping::from_summary);
        let containers = containers.filter_map(|raw| mapping::container(&raw, &mut refusals)).collect();
        Ok(Answer { value: containers, refusals })
    }

    /// One container. An inspect that stalls (it waits for a start to be over) or makes no sense leaves what the
    /// list says of it.
    ///
    /// # Errors
    /// When neither has a usable answer.
    pub(super) async fn container(&self, id: &ContainerId) -> Result<Answer<Container>, Failure> {
        let mut refusals = Refusals::default();
        let raw = match self.within(self.docker.inspect_container(id.as_str(), None)).await {
            Ok(raw) => raw,
            Err(failure @ (Failure::Slow(_) | Failure::Refused(_))) => {
                refusals.refuse(format_args!("container {}: {failure}", id.short()));
                self.listed_container(id).await?
            }
            Err(failure) => return Err(failure),
        };
        let container = mapping::container(&raw, &mut refusals).filter(|container| container.id == *id);
        let container = container.ok_or_else(|| other_object("container", id.short()))?;
        Ok(Answer { value: container, refusals })
    }

    /// The list's entry of one container.
    async fn listed_container(
        &self,
        id: &ContainerId,
    ) -> Result<bollard::models::ContainerInspectResponse, Failure> {
        let filters = HashMap::from([("id", vec![id.as_str()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = self.within(self.docker.list_containers(Some(options))).await?;
        let entry = listed.into_iter().find(|entry| entry.id.as_deref() == Some(id.as_str()));
        entry.map(mapping::from_summary).ok_or(Failure::Gone)
    }

    /// Waits for an answer, but not longer than `patience`.
    async fn within<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer.map_err(Failure::from),
            Err(_) => Err(Failure::Slow(self.patience)),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = SafeText::new(&whole_text(&error));
        match &error {
            Error::DockerResponseServerError { status_code: 404, .. } => Self::Gone,
            Error::DockerResponseServerError { .. }
            | Error::JsonDataError { .. }
            | Error::JsonSerdeError { .. }
            | Error::StrParseError { .. } => Self::Refused(text),
            Error::HyperResponseError { err } if err.is_parse() => Self::Refused(text),
            _ if is_too_long(&error) => Self::Refused(text),
            _ => Self::Away(text),
        }
    }
}

/// An error and what caused it, in one line.
fn whole_text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |error| error.source())
}

/// Whether the transport stopped reading.
fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::once(error).chain(causes(error)).any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause.is::<TooLong>() || io.is_some_and(|inner| inner.is::<TooLong>())
    })
}

/// An event of the stream. Each that can be read lets the stream go on; one that says nothing of use is none.
fn read_event(
    message: Result<EventMessage, Error>,
    transport: &Transport,
) -> Result<Answer<Option<Event>>, Failure> {
    // The client keeps only the text of what ends a stream.
    let message = message.map_err(|error| match transport.event_was_too_long() {
        true => Failure::Refused(SafeText::new(&TooLong.to_string())),
        false => error.into(),
    })?;
    transport.event_was_understood();
    let mut refusals = Refusals::default();
    let value = mapping::event(&message, &mut refusals);
    Ok(Answer { value, refusals })
}

/// Cuts a list that is too long.
fn cut<T>(listed: &mut Vec<T>, most: usize, what: &str) -> Refusals {
    let mut refusals = Refusals::default();
    if listed.len() > most {
        refusals.refuse(format_args!("{} {what}, only {most} are kept", listed.len()));
        listed.truncate(most);
    }
    refusals
}

fn other_object(what: &str, id: &str) -> Failure {
    Failure::Refused(SafeText::new(&format!("Docker answered with another object than {what} {id}")))
}

/// The API version to use with a server whose newest is this.
fn agreed(newest: &str) -> Result<ClientVersion, Failure> {
    let parts =
        newest.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let Some((major_version, minor_version)) = parts else {
        return Err(Failure::Refused(SafeText::new(&format!("not an API version: {newest}"))));
    };
    let newest = ClientVersion { major_version, minor_version };
    Ok(if newest < *API_DEFAULT_VERSION { newest } else { *API_DEFAULT_VERSION })
}

fn is_rootless(info: &SystemInfo) -> bool {
    info.security_options.iter().flatten().any(|option| option == "name=rootless")
}

#[cfg(test)]
mod tests {
    use super::{Failure, agreed};

    fn check(newest: &str, expected: Option<&str>) {
        let version = agreed(newest).map(|version| version.to_string());
        assert_eq!(version.ok().as_deref(), expected, "{newest}");
    }

    #[test]
    fn the_older_api_version_is_used() {
        check("1.41", Some("1.41"));
        check("1.9", Some("1.9"));
        check("1.53", Some("1.53"));
        check("2.0", Some("1.53"));
        check("1.999", Some("1.53"));
    }

    #[test]
    fn a_version_that_is_none_is_refused() {
        for newest in ["", "1", "1.x", "1.41/../..", "-1.2"] {
            check(newest, None);
            assert!(matches!(agreed(newest), Err(Failure::Refused(_))));
        }
    }
}
