use super::why;
use crate::model::{Losses, SafeText};
use crate::snapshot::{Answer, Look};
use crate::view::Frame;
use crate::wire::fixtures::{self, why as answers};
use unicode_width::UnicodeWidthStr as _;

fn draw(answer: &Answer, losses: &Losses, notes: &[SafeText], width: usize) -> String {
    let frame = Frame { width, height: None, colour: false, clock: fixtures::clock() };
    let lines: Vec<String> =
        why(answer, losses, notes, &frame).iter().map(|line| line.draw(&frame)).collect();
    for line in &lines {
        assert!(line.width() <= width, "{} columns of {width}: {line}", line.width());
    }
    lines.join("\n") + "\n"
}

#[test]
fn an_answer_at_each_width() {
    for width in [80, 120] {
        let drawn = draw(&answers::answer(), &Losses::default(), &[], width);
        assert!(drawn.lines().count() <= 24, "it fits the first screen:\n{drawn}");
        insta::assert_snapshot!(format!("why_{width}"), drawn);
    }
}

#[test]
fn an_answer_with_everything() {
    let mut losses = Losses::default();
    losses.add("flow_map_full", 12);
    let notes = [fixtures::text("shop-web-1 is in host mode: its traffic is the host's")];
    insta::assert_snapshot!("why_everything", draw(&answers::everything(), &losses, &notes, 80));
}

#[test]
fn an_answer_about_nothing() {
    let answer = Answer {
        conversations: Vec::new(),
        ways: Vec::new(),
        summary: "Nothing was seen from shop-web-1 to billing-db-1 on port 5432/tcp.".to_owned(),
        ..answers::answer()
    };
    insta::assert_snapshot!("why_nothing", draw(&answer, &Losses::default(), &[], 80));
}

#[test]
fn a_command_is_continued_as_a_shell_reads_it_and_not_cut() {
    let command = "tcpdump -ni veth1a2b3c4 host 2001:db8:1234:5678:9abc:def0:1234:5678 and port 5432";
    let look = vec![Look { shows: "what is sent".to_owned(), command: command.to_owned() }];
    for width in [48, 60, 80, 120] {
        let drawn = draw(&Answer { look: look.clone(), ..answers::answer() }, &Losses::default(), &[], width);
        let (_, pasted) = drawn.split_once("Look for yourself\n").unwrap();
        let pasted = pasted.split("  #").next().unwrap().replace("\\\n", "");
        let words: Vec<&str> = pasted.split_whitespace().collect();
        assert_eq!(words.join(" "), command, "at {width} columns");
    }
}
