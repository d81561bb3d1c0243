//! The live terminal view: what is shown, and what each key does to it. Pure: data, a state that keys change, and a
//! picture of both; [`crate::run`] has the terminal, the clock and the engine.
//!
//! A screen is a list of rows with columns. Only the rows in sight are made into text.

mod app;
mod back;
mod board;
mod column;
mod context;
mod detail;
mod draw;
mod keys;
mod line;
mod list;
mod news;
mod rank;
mod recent;
mod screens;
mod spark;
mod state;
mod subject;
mod theme;
mod update;

pub use app::{App, Effect, Found, Wanted};
pub use back::Span;
pub use board::Course;
pub use theme::{Colours, Look};

#[cfg(test)]
mod tests;
