//! vethwatch.
