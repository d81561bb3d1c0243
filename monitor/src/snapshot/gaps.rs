//! Running containers whose traffic cannot be seen, all of it or that of some network.

use super::{Books, ContainerRow};
use crate::model::{ContainerState, SafeText};

/// What they are called in what is missing.
pub const GAPS: &str = "containers";
/// The most that are named.
const MOST_NAMED: usize = 5;

impl Books {
    /// How many there are, and which; `None` if there are none.
    #[must_use]
    pub fn gaps(&self, rows: &[ContainerRow]) -> Option<SafeText> {
        let runs =
            |row: &&ContainerRow| matches!(row.state, ContainerState::Running | ContainerState::Paused);
        let gap = |row: &ContainerRow| Some(format!("{} ({})", row.container.name, self.gap(row)?));
        let mut gaps: Vec<String> = rows.iter().filter(runs).filter_map(gap).collect();
        gaps.sort();
        let shown = gaps.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match gaps.len() {
            0 => return None,
            count if count > MOST_NAMED => format!(" and {} more", count - MOST_NAMED),
            _ => String::new(),
        };
        let count = gaps.len();
        let are = if count == 1 { "container is" } else { "containers are" };
        Some(SafeText::new(&format!("{count} {are} not watched, or not on all networks: {shown}{more}")))
    }

    /// Why not all of a container's traffic can be seen, in few words.
    fn gap(&self, row: &ContainerRow) -> Option<String> {
        if self.groups_refused.contains_key(&row.container.id) {
            return Some("host mode".to_owned());
        }
        let of_others =
            row.memberships.iter().filter(|at| at.interface.is_none() && !at.network.driver.has_host_end());
        let mut drivers: Vec<&str> = of_others.map(|at| at.network.driver.name()).collect();
        drivers.sort_unstable();
        drivers.dedup();
        (!drivers.is_empty()).then(|| drivers.join(", "))
    }
}
