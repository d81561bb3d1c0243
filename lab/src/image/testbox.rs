//! The testbox image.

use super::program::Image;
use super::{FOR_TESTS, TESTBOX};
use anyhow::Result;
use std::path::Path;

/// Makes the image of this program unless it exists already; `scratch` is a folder for the archive.
///
/// # Errors
/// The program or a library of it cannot be read, or Docker refuses.
pub fn make(program: &Path, scratch: &Path) -> Result<()> {
    let changes = [FOR_TESTS, r#"ENTRYPOINT ["/testbox"]"#, r#"CMD ["sleep"]"#];
    Image { name: TESTBOX, program: "/testbox", changes: &changes }.make(program, scratch)
}
