//! The image of vethwatch itself.

use super::program::Image;
use anyhow::Result;
use std::path::Path;

/// Makes an image of this name (`repository:tag`) of this vethwatch unless it exists already; `scratch` is a folder for
/// the archive. A container of it is the agent; another command of vethwatch may be named.
///
/// # Errors
/// The program or a library of it cannot be read, or Docker refuses.
pub fn make(name: &str, program: &Path, scratch: &Path) -> Result<()> {
    let changes = [r#"ENTRYPOINT ["/usr/bin/vethwatch"]"#, r#"CMD ["agent"]"#];
    Image { name, program: "/usr/bin/vethwatch", changes: &changes }.make(program, scratch)
}
