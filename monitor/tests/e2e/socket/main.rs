//! The agent's socket beside real containers: who asks there sees what the kernel counts, without being root, and
//! nobody who asks can harm the others.

mod crowd;
mod documented;
mod ends;
mod group;
mod history;
mod hostile;
mod isolation;
mod rig;
mod threads;
