//! Which columns are shown, where, and how wide.

use crate::tui::column::Align;
use crate::tui::list::Heading;

/// How wide texts in each column were so far: columns only grow, so that nothing jitters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) struct Widths(pub(super) Vec<usize>);

impl Widths {
    /// Takes note of a text in a column.
    pub(super) fn see(&mut self, column: usize, width: usize) {
        if self.0.len() <= column {
            self.0.resize(column + 1, 0);
        }
        self.0[column] = self.0[column].max(width);
    }

    fn wanted(&self, column: usize) -> usize {
        self.0.get(column).copied().unwrap_or_default()
    }
}

/// A column that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Which one.
    pub(super) column: usize,
    /// Where it begins.
    pub(super) x: usize,
    /// How wide it is.
    pub(super) width: usize,
}

/// Columns between two columns.
pub(super) const fn gap(room: usize) -> usize {
    if room < 60 { 1 } else { 2 }
}

/// Lays columns out in `room` columns of the terminal.
///
/// Those with the greatest `leave_out` go until the rest fit at their least width; where even that is not enough,
/// they are squeezed, the last first. What is left then goes to names, the most important first.
pub(super) fn slots(headings: &[Heading], widths: &Widths, room: usize) -> Vec<Slot> {
    let gap = gap(room);
    let mut shown: Vec<(usize, usize)> =
        headings.iter().enumerate().map(|(column, heading)| (column, heading.least)).collect();
    let needs = |shown: &[(usize, usize)]| {
        shown.iter().map(|(_, width)| width + gap).sum::<usize>().saturating_sub(gap)
    };
    while needs(&shown) > room {
        let out = |at: &usize| headings[shown[*at].0].leave_out;
        let last = (0..shown.len()).max_by_key(out).filter(|at| out(at) > 0);
        let Some(last) = last else { break };
        shown.remove(last);
    }
    while needs(&shown) > room {
        let Some(widest) = (0..shown.len()).max_by_key(|at| shown[*at].1).filter(|at| shown[*at].1 > 1)
        else {
            // Not even one column each.
            shown.pop();
            if shown.is_empty() {
                break;
            }
            continue;
        };
        shown[widest].1 -= 1;
    }
    let left = room.saturating_sub(needs(&shown));
    grow(&mut shown, headings, widths, left);
    let mut x = 0;
    let slot = |(column, width)| {
        let slot = Slot { column, x, width };
        x += width + gap;
        slot
    };
    shown.into_iter().map(slot).collect()
}

/// Gives what is left to the columns of names: the most important first, and alike to those that are alike; what they
/// leave goes to bars.
fn grow(shown: &mut [(usize, usize)], headings: &[Heading], widths: &Widths, mut left: usize) {
    let step_of = |heading: &Heading| (heading.align == Align::Bars, heading.leave_out);
    let mut steps: Vec<_> = shown.iter().map(|(column, _)| step_of(&headings[*column])).collect();
    steps.sort_unstable();
    steps.dedup();
    for step in steps {
        loop {
            let before = left;
            for (column, width) in shown.iter_mut() {
                let heading = &headings[*column];
                let wants = step_of(heading) == step
                    && heading.align != Align::Right
                    && *width < widths.wanted(*column).min(heading.most);
                if wants && left > 0 {
                    *width += 1;
                    left -= 1;
                }
            }
            if left == before {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Widths, gap, slots};
    use crate::tui::column::Align;
    use crate::tui::list::Heading;
    use crate::tui::screens::ScreenId;

    fn heading(align: Align, least: usize, most: usize, leave_out: u8) -> Heading {
        Heading { title: "T", align, least, most, leave_out, greatest_first: false }
    }

    fn check(room: usize, wanted: &[usize], expected: &[(usize, usize)]) {
        let headings = [
            heading(Align::Left, 10, 30, 0),
            heading(Align::Right, 8, 8, 1),
            heading(Align::Left, 6, 20, 3),
            heading(Align::Right, 8, 8, 2),
        ];
        let slots = slots(&headings, &Widths(wanted.to_vec()), room);
        let found: Vec<_> = slots.iter().map(|slot| (slot.column, slot.width)).collect();
        assert_eq!(found, expected, "in {room} columns");
    }

    #[test]
    fn columns_are_left_out_in_their_order_and_names_get_what_is_left() {
        check(200, &[25, 8, 12, 8], &[(0, 25), (1, 8), (2, 12), (3, 8)]);
        check(200, &[90, 8, 90, 8], &[(0, 30), (1, 8), (2, 20), (3, 8)]);
        check(40, &[25, 8, 12, 8], &[(0, 15), (1, 8), (2, 6), (3, 8)]);
        check(34, &[25, 8, 12, 8], &[(0, 16), (1, 8), (3, 8)]);
        check(20, &[25, 8, 12, 8], &[(0, 11), (1, 8)]);
        check(12, &[25, 8, 12, 8], &[(0, 12)]);
        check(4, &[25, 8, 12, 8], &[(0, 4)]);
    }

    #[test]
    fn bars_get_what_names_leave() {
        let bars = heading(Align::Bars, 10, 60, 1);
        let headings = [heading(Align::Left, 10, 30, 0), bars, heading(Align::Left, 8, 28, 5)];
        let slots = slots(&headings, &Widths(vec![20, 60, 26]), 100);
        assert_eq!(slots.iter().map(|slot| slot.width).collect::<Vec<_>>(), [20, 50, 26]);
    }

    #[test]
    fn no_screen_is_ever_wider_than_its_terminal() {
        for screen in ScreenId::ALL {
            let headings = screen.table().headings();
            let wide = Widths(vec![4_000; headings.len()]);
            for room in 1..=300 {
                for widths in [&Widths::default(), &wide] {
                    let slots = slots(&headings, widths, room);
                    let end = slots.last().map_or(0, |slot| slot.x + slot.width);
                    assert!(end <= room, "{screen:?} takes {end} of {room}");
                    assert!(slots.windows(2).all(|two| two[0].x + two[0].width + gap(room) == two[1].x));
                    assert_eq!(slots.first().map(|slot| slot.column), Some(0), "{screen:?} in {room}");
                }
            }
        }
    }
}
