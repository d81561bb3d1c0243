//! Which time the view looks back at: what keys ask for, and what was told of it.

use super::context::Window;
use crate::model::WallTime;
use crate::snapshot::Told;
use std::time::Duration;

/// What a time that is asked for is shorter than a step at most: intervals are not exact, and one that has a small part
/// in it would be told as well.
const SLACK: Duration = Duration::from_millis(500);

/// A time: all intervals with a part in it are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From when.
    pub since: WallTime,
    /// Until when.
    pub until: WallTime,
}

/// A look back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Back {
    asked: Span,
    /// The time that was told last, which is whole intervals.
    shown: Option<Span>,
    /// How long a time is asked for, and how far a step goes.
    step: Window,
    /// Whether what is asked for was answered, and why it was not told.
    answer: Option<Result<(), String>>,
}

impl Back {
    /// The last minute before now.
    pub(super) fn before(now: WallTime, steps: u32) -> Self {
        let step = Window::Minute;
        let mut back = Self { asked: Span { since: now, until: now }, shown: None, step, answer: None };
        back.earlier(steps);
        back
    }

    /// What is asked for.
    pub(super) const fn asked(&self) -> Span {
        self.asked
    }

    /// The time that was told last.
    pub(super) const fn shown(&self) -> Option<Span> {
        self.shown
    }

    /// Whether an answer is still to come.
    pub(super) const fn is_asking(&self) -> bool {
        self.answer.is_none()
    }

    /// Why what was asked for last was not told.
    pub(super) fn refused(&self) -> Option<&str> {
        self.answer.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// So many steps further back.
    pub(super) fn earlier(&mut self, steps: u32) {
        self.ask_until(add(self.base().since, -self.times(steps.saturating_sub(1))));
    }

    /// So many steps further on; whether there is anything before now.
    #[must_use]
    pub(super) fn later(&mut self, steps: u32, now: WallTime) -> bool {
        let since = add(self.base().until, self.times(steps.saturating_sub(1)));
        let until = add(since, self.times(1) - self.slack());
        if add(since, self.slack()) >= now {
            return false;
        }
        self.ask(Span { since, until });
        true
    }

    /// The same end, over another length.
    pub(super) fn other_step(&mut self) {
        self.step = self.step.next();
        self.ask_until(self.base().until);
    }

    /// Takes in what was told of a time; whether it is the one that is asked for.
    pub(super) fn told(&mut self, asked: Span, told: Result<&Told, String>) -> bool {
        if asked != self.asked {
            return false;
        }
        if let Ok(told) = told {
            self.shown = Some(Span { since: told.from, until: told.end.wall });
        }
        self.answer = Some(told.map(drop));
        true
    }

    /// Where the next step begins: at what is shown, unless another time is asked for already.
    fn base(&self) -> Span {
        self.shown.filter(|_| !self.is_asking()).unwrap_or(self.asked)
    }

    /// Asks for a step that ends then, but for what would tell an interval beside it.
    fn ask_until(&mut self, until: WallTime) {
        self.ask(Span { since: add(until, self.slack() - self.times(1)), until });
    }

    fn ask(&mut self, asked: Span) {
        if asked != self.asked {
            (self.asked, self.answer) = (asked, None);
        }
    }

    /// So many steps, in nanoseconds.
    fn times(&self, steps: u32) -> i64 {
        nanoseconds(self.step.length()).saturating_mul(steps.into())
    }

    fn slack(&self) -> i64 {
        nanoseconds(SLACK.min(self.step.length() / 10))
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn add(at: WallTime, nanoseconds: i64) -> WallTime {
    WallTime(at.0.saturating_add(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::{Back, Span};
    use crate::model::{KernelTime, WallTime};
    use crate::snapshot::{Moment, Told};
    use std::time::Duration;

    const SECOND: i64 = 1_000_000_000;

    const fn wall(tenths: i64) -> WallTime {
        WallTime(tenths * SECOND / 10)
    }

    /// Answers with whole intervals of a length, the first of which began at 0, as a history would.
    fn answer(back: &mut Back, length: i64) -> Span {
        let Span { since, until } = back.asked();
        let length = length * SECOND / 10;
        let from = WallTime(since.0.div_euclid(length) * length);
        let end = WallTime((until.0 - 1).div_euclid(length) * length + length);
        let moment = |wall| Moment { kernel: KernelTime(0), wall };
        let told =
            Told { start: moment(from), end: moment(end), from, resolution: Duration::ZERO, is_cut: false };
        assert!(back.told(back.asked(), Ok(&told)));
        assert_eq!((back.is_asking(), back.refused()), (false, None));
        back.shown().unwrap()
    }

    const fn span(since: i64, until: i64) -> Span {
        Span { since: wall(since), until: wall(until) }
    }

    #[test]
    fn steps_follow_each_other_without_a_gap_and_show_nothing_twice() {
        for length in [10, 9, 11, 600, 596, 613] {
            let mut back = Back::before(wall(36_000), 1);
            let mut shown = answer(&mut back, length);
            for _ in 0..20 {
                back.earlier(1);
                let before = answer(&mut back, length);
                assert_eq!(before.until, shown.since, "intervals of {length}");
                let tenths = (before.until.0 - before.since.0) * 10 / SECOND;
                assert!((595..=615).contains(&tenths), "{tenths} of intervals of {length}");
                shown = before;
            }
            for _ in 0..20 {
                assert!(back.later(1, wall(40_000)));
                let next = answer(&mut back, length);
                assert_eq!(next.since, shown.until, "intervals of {length}");
                shown = next;
            }
        }
    }

    #[test]
    fn a_step_can_be_a_second_and_ten_are_taken_at_once() {
        let mut back = Back::before(wall(36_000), 10);
        assert_eq!(answer(&mut back, 10), span(30_000, 30_600));
        back.other_step();
        assert_eq!(answer(&mut back, 10), span(30_590, 30_600));
        back.other_step();
        assert_eq!(answer(&mut back, 10), span(30_500, 30_600));
        back.earlier(1);
        assert_eq!(answer(&mut back, 10), span(30_400, 30_500));
        assert!(back.later(10, wall(36_000)));
        assert_eq!(answer(&mut back, 10), span(31_400, 31_500));
    }

    #[test]
    fn keys_that_are_faster_than_answers_are_not_lost() {
        let mut back = Back::before(wall(36_000), 1);
        let first = back.asked();
        back.earlier(1);
        back.earlier(1);
        assert!(!back.told(first, Err("late".to_owned())), "it is not asked for any more");
        let asked = back.asked();
        assert!(back.is_asking() && asked.until.0 < wall(35_000).0, "{asked:?}");
    }

    #[test]
    fn what_is_not_kept_leaves_what_is_shown_and_now_is_the_end() {
        let mut back = Back::before(wall(36_000), 1);
        let shown = answer(&mut back, 10);
        back.earlier(1);
        assert!(back.told(back.asked(), Err("nothing".to_owned())));
        assert_eq!((back.shown(), back.refused()), (Some(shown), Some("nothing")));
        let refused = back.asked();
        back.earlier(1);
        assert_eq!((back.asked(), back.is_asking()), (refused, false), "it is not asked for again");
        assert!(!back.later(1, wall(36_002)), "that is now");
    }
}
