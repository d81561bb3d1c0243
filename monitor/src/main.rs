//! vethwatch.
fn main() {}
