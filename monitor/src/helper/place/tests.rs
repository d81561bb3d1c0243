use super::{Place, make, make_room};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Barrier;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vw-place-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A group that whoever runs this may give a file to.
fn own_group(folder: &Folder) -> String {
    fs::metadata(&folder.0).unwrap().gid().to_string()
}

fn refusal(path: &Path, group: &str) -> String {
    format!("{:#}", make(path, group).map(|_| ()).expect_err("it is refused"))
}

#[test]
fn the_file_is_for_owner_and_group_and_goes_with_the_agent() {
    let folder = Folder::new("mode");
    let path = folder.0.join("new/deep/s");
    let (socket, place) = make(&path, &own_group(&folder)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o022, 0);
    assert!(UnixStream::connect(&path).is_ok());
    drop((socket, place));
    assert!(!path.exists());
}

#[test]
fn what_a_dead_process_left_is_replaced_and_a_living_one_keeps_its_place() {
    let folder = Folder::new("stale");
    let (path, group) = (folder.0.join("s"), own_group(&folder));
    drop(UnixListener::bind(&path).unwrap());
    let (_socket, place) = make(&path, &group).unwrap();
    let said = refusal(&path, &group);
    assert!(said.contains(&format!("process {} answers there already", std::process::id())), "{said}");
    assert!(UnixStream::connect(&path).is_ok(), "nobody took its place");
    // Another one by now: it is not ours to remove.
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(place);
    assert!(path.exists());
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let folder = Folder::new("file");
    let (file, link, group) = (folder.0.join("file"), folder.0.join("link"), own_group(&folder));
    fs::write(&file, "text").unwrap();
    symlink(&file, &link).unwrap();
    for path in [&file, &link, &folder.0] {
        let said = refusal(path, &group);
        assert!(said.contains("something else is there"), "{said}");
        assert!(path.symlink_metadata().is_ok());
    }
}

#[test]
fn a_path_that_cannot_be_is_refused() {
    let folder = Folder::new("path");
    let group = own_group(&folder);
    assert!(refusal(&folder.0.join("x".repeat(200)), &group).contains("at most"));
    fs::write(folder.0.join("file"), "").unwrap();
    let said = refusal(&folder.0.join("file/s"), &group);
    assert!(said.contains("the directory") && said.contains("cannot be made"), "{said}");
    assert!(make_room(&folder.0.join("nothing")).is_ok());
}

#[test]
fn a_group_that_is_not_there_leaves_it_to_the_owner() {
    let folder = Folder::new("group");
    let path = folder.0.join("s");
    let (_socket, _place): (_, Place) = make(&path, "vw-there-is-no-such-group").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().gid().to_string(), own_group(&folder));
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let folder = Folder::new("link");
    let (path, group, other) = (folder.0.join("s"), own_group(&folder), folder.0.join("other"));
    let (_socket, place) = make(&path, &group).unwrap();
    fs::write(&other, "").unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
    let moved = folder.0.join("moved");
    fs::rename(&path, &moved).unwrap();
    symlink(&other, &path).unwrap();
    place.give_to(&group).unwrap();
    assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&moved).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(!place.is_for(&group));
    drop(place);
    assert!(path.is_symlink() && other.exists());
}

#[test]
fn what_is_there_is_looked_at() {
    let folder = Folder::new("there");
    let (path, group) = (folder.0.join("s"), own_group(&folder));
    let (_socket, place) = make(&path, &group).unwrap();
    assert!(place.is_for(&group));
    let another = group.parse::<u32>().unwrap() + 1;
    assert!(!place.is_for(&another.to_string()));
    fs::remove_file(&path).unwrap();
    assert!(!place.is_for(&group) && !place.is_there());
    let (_next_socket, next) = make(&path, &group).unwrap();
    drop(place);
    assert!(next.is_for(&group));
}

#[test]
fn a_folder_to_which_everybody_may_write_is_refused() {
    let folder = Folder::new("open");
    let (path, group) = (folder.0.join("s"), own_group(&folder));
    fs::set_permissions(&folder.0, Permissions::from_mode(0o777)).unwrap();
    let said = refusal(&path, &group);
    assert!(said.contains("everybody can write to its folder"), "{said}");
    fs::set_permissions(&folder.0, Permissions::from_mode(0o1777)).unwrap();
    assert!(make(&path, &group).is_ok());
}

#[test]
fn of_agents_that_start_at_once_one_has_the_place() {
    const AGENTS: usize = 4;
    let folder = Folder::new("at-once");
    let (path, group) = (folder.0.join("s"), own_group(&folder));
    for _ in 0..50 {
        drop(UnixListener::bind(&path).unwrap());
        let at_once = Barrier::new(AGENTS);
        let start = || {
            at_once.wait();
            make(&path, &group)
        };
        let made = std::thread::scope(|scope| {
            let agents = [(); AGENTS].map(|()| scope.spawn(start));
            agents.map(|agent| agent.join().unwrap())
        });
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
        assert!(UnixStream::connect(&path).is_ok());
    }
}

#[test]
fn what_was_left_is_found_again_and_nothing_else_is() {
    let folder = Folder::new("left");
    let (path, group) = (folder.0.join("s"), own_group(&folder));
    let (_socket, place) = make(&path, &group).unwrap();
    let identity = place.leave();
    assert!(Place::at(&path, (identity.0, identity.1 + 1)).is_none());
    assert!(Place::at(&path, identity).is_some_and(|place| place.is_there()));
    assert!(path.exists(), "it was only looked at");
    Place::at(&path, identity).unwrap().remove();
    assert!(!path.exists() && Place::at(&path, identity).is_none());
}
