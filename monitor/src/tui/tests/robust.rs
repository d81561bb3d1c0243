//! No sequence of keys, sizes and data breaks anything.

use super::{View, data};
use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEventKind};
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    Key(KeyCode, KeyModifiers),
    Mouse(MouseEventKind, u16, u16),
    Size(u16, u16),
    Data(u8),
    Draw,
}

fn step() -> impl Strategy<Value = Step> {
    let letters = "qwertyuiopasdfghjklzxcvbnm:/?123456GSRTB<>-!é日 ";
    let letter = prop::sample::select(letters.chars().collect::<Vec<_>>()).prop_map(KeyCode::Char);
    let named = prop::sample::select(vec![
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Backspace,
        KeyCode::Delete,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::F(1),
        KeyCode::F(12),
        KeyCode::Null,
    ]);
    let modifiers = prop::sample::select(vec![
        KeyModifiers::NONE,
        KeyModifiers::NONE,
        KeyModifiers::SHIFT,
        KeyModifiers::CONTROL,
        KeyModifiers::ALT,
    ]);
    let mouse = prop::sample::select(vec![
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollDown,
        MouseEventKind::Moved,
    ]);
    prop_oneof![
        8 => (prop_oneof![letter, named], modifiers).prop_map(|(code, modifiers)| Step::Key(code, modifiers)),
        2 => (mouse, 0_u16..210, 0_u16..70).prop_map(|(kind, column, row)| Step::Mouse(kind, column, row)),
        1 => (0_u16..210, 0_u16..70).prop_map(|(columns, rows)| Step::Size(columns, rows)),
        1 => any::<u8>().prop_map(Step::Data),
        2 => Just(Step::Draw),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_keys_and_sizes_breaks_anything(steps in prop::collection::vec(step(), 1..80)) {
        let worlds = [data::empty(), data::small(), data::hostile()];
        let mut view = View::new(data::hostile(), 80, 24);
        data::tell(&mut view.app, data::few_flows());
        let mut time = 0;
        for step in steps {
            match step {
                Step::Key(code, modifiers) => {
                    view.press(code, modifiers);
                }
                Step::Mouse(kind, column, row) => {
                    view.mouse(kind, column, row);
                }
                Step::Size(columns, rows) => view.terminal.backend_mut().resize(columns, rows),
                Step::Data(which) => {
                    time += 1;
                    let world = &worlds[usize::from(which) % worlds.len()];
                    view.app.snapshot(data::later(world, time));
                    data::tell(&mut view.app, data::few_flows().into_iter().take(usize::from(which) % 7));
                }
                Step::Draw => {
                    view.picture();
                }
            }
            let app = &mut view.app;
            app.refresh();
            let (at, rows) = (app.state.place().at, app.table.len());
            prop_assert!(at < rows.max(1), "row {at} of {rows} is selected");
            let selected = app.table.subject(at);
            if let (Some(followed), Some(selected)) = (&app.state.place().subject, selected) {
                prop_assert_eq!(followed, &selected);
            }
        }
        view.picture();
    }

    #[test]
    fn no_name_breaks_a_line(
        name in "\\PC{0,60}|[\u{0}-\u{ff}\u{200b}-\u{206f}]{0,40}",
        columns in 1_u16..200,
        rows in 1_u16..40,
        ascii in any::<bool>(),
    ) {
        let mut snapshot = (*data::small()).clone();
        let container = Arc::make_mut(&mut snapshot.containers[0].container);
        container.name = crate::model::SafeText::new(&name);
        container.service = Some(crate::model::SafeText::new(&name));
        let look = crate::tui::Look { ascii, ..crate::tui::Look::default() };
        let mut view = View::with_look(look, Arc::new(snapshot), columns, rows);
        let picture = view.picture();
        prop_assert_eq!(picture.lines().count(), usize::from(rows));
        prop_assert!(!ascii || picture.is_ascii());
    }
}
