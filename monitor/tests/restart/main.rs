//! An agent that is killed, and the next one: what was watched is counted to the byte, nothing is told twice, and what is
//! not known is said. Needs root, Docker, and the images of `cargo xtask image`.

mod folder;
mod gap;
mod kills;
mod rig;
