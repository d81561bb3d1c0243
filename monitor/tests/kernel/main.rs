//! scratch
mod rig;
use monitor_common::{counters::Direction, settings::Settings};
use rig::*;
#[test]
fn loads() {
    let r = Rig::load(&Settings::default(), &[])
        .map_err(|e| {
            eprintln!("{e:#?}");
            e
        })
        .expect("load");
    let mut p = vec![0u8; 64];
    p[12] = 8;
    p[14] = 0x45;
    p[23] = 17;
    println!("{:?}", r.send(Direction::Sent, &p, &Skb::ordinary()));
    println!("{:?}", r.flows::<20>("FLOWS4_A"));
    println!("{:?}", r.totals(SLOT));
}
mod read;
