//! Names that a container was given on its networks.

use super::{MOST_ALIASES, Refusals};
use crate::model::{ContainerId, NetworkId, SafeText};
use bollard::models::EndpointSettings;
use std::collections::{BTreeSet, HashMap};

/// Letters of a short id. A name of fewer, such as `db`, may be the beginning of an id by chance.
const SHORT_ID: usize = 12;

/// The aliases that somebody chose, in small letters, since names are compared without regard to that. Docker gives each
/// container its short id as one, and Compose its name: both lead to it alone. Names of networks on which it is not have
/// no network's id.
pub(super) fn aliases(
    (id, name): (&ContainerId, &str),
    networks: Option<&HashMap<String, EndpointSettings>>,
    refusals: &mut Refusals,
) -> Vec<(NetworkId, SafeText)> {
    let mut aliases = BTreeSet::new();
    for raw in networks.into_iter().flat_map(HashMap::values) {
        let Ok(network) = NetworkId::new(raw.network_id.as_deref().unwrap_or("")) else { continue };
        for alias in raw.aliases.iter().flatten() {
            let is_short_id = alias.len() >= SHORT_ID && id.as_str().starts_with(alias.as_str());
            let is_own = is_short_id || alias.eq_ignore_ascii_case(name);
            if !is_own && !alias.is_empty() {
                aliases.insert((network.clone(), SafeText::new(&alias.to_ascii_lowercase())));
            }
            if aliases.len() > MOST_ALIASES {
                refusals.refuse(format_args!("more than {MOST_ALIASES} aliases of one container"));
                aliases.pop_last();
                return aliases.into_iter().collect();
            }
        }
    }
    aliases.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (Vec<String>, bool) {
        let networks = serde_json::from_str(json).unwrap();
        let mut refusals = Refusals::default();
        let id = ContainerId::new(&"0c".repeat(32)).unwrap();
        let read = aliases((&id, "shop-web-1"), Some(&networks), &mut refusals);
        let told = read.iter().map(|(network, alias)| format!("{} {alias}", network.as_str())).collect();
        (told, refusals.news().is_some())
    }

    #[test]
    fn what_somebody_chose_is_kept_and_what_leads_to_it_alone_is_not() {
        let json = r#"{"a":{"NetworkID":"n1","Aliases":["Pool","pool","0c0c0c0c0c0c","Shop-Web-1",""]},
            "b":{"NetworkID":"n2","Aliases":null},"c":{"NetworkID":"","Aliases":["lost"]},
            "d":{"NetworkID":"n3","Aliases":["\u001b[31mred"]}}"#;
        let (told, refused) = read(json);
        assert_eq!(told, ["n1 pool", "n3 \\u{1b}[31mred"]);
        assert!(!refused);
    }

    #[test]
    fn they_are_bounded() {
        let many: Vec<String> = (0..1_000).map(|number| format!("\"alias-{number}\"")).collect();
        let (told, refused) =
            read(&format!(r#"{{"a":{{"NetworkID":"n1","Aliases":[{}]}}}}"#, many.join(",")));
        assert_eq!((told.len(), refused), (MOST_ALIASES, true));
    }

    #[test]
    fn a_name_that_an_id_happens_to_begin_with_is_kept() {
        let (told, _) = read(r#"{"a":{"NetworkID":"n1","Aliases":["0c","0c0c","0c0c0c0c0c0c"]}}"#);
        assert_eq!(told, ["n1 0c", "n1 0c0c"]);
    }
}
