//! The calls of `bpf(2)` that aya does not offer: per-CPU reads into a buffer that is kept, TCX links by ifindex, and
//! pins of both.
//!
//! A [`Map`] knows the types of its keys and values and has checked their sizes against the kernel's, so that
//! everything it offers is safe.

mod batch;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::{io, marker::PhantomData};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Commands of `bpf(2)`.
mod command {
    pub(super) const MAP_CREATE: u32 = 0;
    pub(super) const MAP_LOOKUP_ELEM: u32 = 1;
    pub(super) const MAP_UPDATE_ELEM: u32 = 2;
    pub(super) const MAP_DELETE_ELEM: u32 = 3;
    pub(super) const MAP_GET_NEXT_KEY: u32 = 4;
    pub(super) const OBJ_PIN: u32 = 6;
    pub(super) const OBJ_GET: u32 = 7;
    pub(super) const OBJ_GET_INFO_BY_FD: u32 = 15;
    pub(super) const PROG_QUERY: u32 = 16;
    pub(super) const MAP_LOOKUP_BATCH: u32 = 24;
    pub(super) const MAP_DELETE_BATCH: u32 = 27;
    pub(super) const LINK_CREATE: u32 = 28;
    pub(super) const LINK_UPDATE: u32 = 29;
}

const MAP_TYPE_HASH: u32 = 1;
const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;
/// Memory for an entry is taken when it is made.
const NO_PREALLOCATION: u32 = 1;
/// `BPF_LINK_TYPE_TCX`.
const LINK_TYPE_TCX: u32 = 11;
/// Put a program before all others of its hook.
const BEFORE: u32 = 1 << 3;

/// A hook of TCX, as the kernel numbers attach types.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TcxHook {
    /// `BPF_TCX_INGRESS`.
    Ingress = 46,
    /// `BPF_TCX_EGRESS`.
    Egress = 47,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct Element {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// A hook of a control group, as the kernel numbers attach types.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupHook {
    /// `BPF_CGROUP_INET_INGRESS`.
    Received = 0,
    /// `BPF_CGROUP_INET_EGRESS`.
    Sent = 1,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct LinkCreate {
    program: u32,
    /// An ifindex, or the descriptor of a control group.
    target: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    pad: u32,
    expected_revision: u64,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct LinkUpdate {
    link: u32,
    program: u32,
    flags: u32,
    old_program: u32,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}

/// The head of `struct bpf_link_info`, of a TCX link.
#[repr(C)]
#[derive(Default, FromBytes, IntoBytes, Immutable)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program_id: u32,
    pad: u32,
    ifindex: u32,
    attach_type: u32,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct ProgramQuery {
    ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    program_ids: u64,
    count: u32,
    pad: u32,
    attach_flags_of: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: u32,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct InfoQuery {
    fd: u32,
    length: u32,
    info: u64,
}

/// The head of `struct bpf_map_info`.
#[repr(C)]
#[derive(Default, FromBytes, IntoBytes, Immutable)]
struct MapInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

/// The head of `struct bpf_link_info`, of a link to a control group.
#[repr(C)]
#[derive(Default, FromBytes, IntoBytes, Immutable)]
struct GroupLinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    pad: u32,
    group: u64,
}

/// The raw call. `attributes` may hold addresses the kernel writes to; the caller answers for them.
///
/// # Safety
/// Every address in `attributes` must be valid for what `command` does with it.
unsafe fn bpf<T: IntoBytes>(command: u32, attributes: &mut T) -> io::Result<u32> {
    // SAFETY: the attributes are a live value of the length given; the caller answers for the addresses inside.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    u32::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[expect(clippy::cast_sign_loss, reason = "an open file descriptor is not negative")]
fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

/// Takes a file descriptor the kernel has just made for us.
#[expect(clippy::cast_possible_wrap, reason = "the kernel gave it as a non-negative int")]
fn owned(fd: u32) -> OwnedFd {
    // SAFETY: the kernel has just made it and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

fn address<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<()>() as u64
}

fn address_mut<T: ?Sized>(value: &mut T) -> u64 {
    std::ptr::from_mut(value).cast::<()>() as u64
}

/// A map whose keys are `K` and whose values (of one CPU, where they are per CPU) are `V`.
#[derive(Debug)]
pub(super) struct Map<K, V> {
    fd: OwnedFd,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Map<K, V>
where
    K: IntoBytes + FromBytes + Immutable,
    V: IntoBytes + FromBytes + Immutable,
{
    /// Takes a map, if its sizes are those of `K` and `V`.
    ///
    /// # Errors
    /// When the kernel cannot tell, or the sizes differ.
    pub(super) fn new(map: BorrowedFd<'_>) -> io::Result<Self> {
        let mut info = MapInfo::default();
        let mut query = InfoQuery {
            fd: number(map),
            length: u32::try_from(size_of::<MapInfo>()).expect("a struct of a few words"),
            info: address_mut(&mut info),
        };
        // SAFETY: `info` is alive and as long as said.
        unsafe { bpf(command::OBJ_GET_INFO_BY_FD, &mut query) }?;
        if (info.key_size as usize, info.value_size as usize) != (size_of::<K>(), size_of::<V>()) {
            let sizes = format!(
                "a map has keys of {} and values of {} bytes, expected {} and {}",
                info.key_size,
                info.value_size,
                size_of::<K>(),
                size_of::<V>()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, sizes));
        }
        Ok(Self { fd: map.try_clone_to_owned()?, types: PhantomData })
    }

    /// Makes a hash map for at most so many entries.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn hash(most: u32) -> io::Result<Self> {
        Self::create(MapCreate {
            kind: MAP_TYPE_HASH,
            max_entries: most,
            flags: NO_PREALLOCATION,
            ..MapCreate::SMALLEST
        })
    }

    /// Makes an array with one entry.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn single() -> io::Result<Self> {
        Self::create(MapCreate { kind: MAP_TYPE_ARRAY, ..MapCreate::SMALLEST })
    }

    fn create(create: MapCreate) -> io::Result<Self> {
        let size = |size: usize| u32::try_from(size).map_err(|_| io::ErrorKind::InvalidInput);
        let (key_size, value_size) = (size(size_of::<K>())?, size(size_of::<V>())?);
        Ok(Self { fd: create_map(MapCreate { key_size, value_size, ..create })?, types: PhantomData })
    }

    fn element(&self, key: &K, value: u64) -> Element {
        Element { map: number(self.fd.as_fd()), key: address(key), value, ..Element::default() }
    }

    /// Reads one value; `None` if there is none.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn lookup(&self, key: &K) -> io::Result<Option<V>> {
        let mut value = V::new_zeroed();
        let mut element = self.element(key, address_mut(&mut value));
        // SAFETY: key and value are alive and have the map's sizes.
        match unsafe { bpf(command::MAP_LOOKUP_ELEM, &mut element) } {
            Ok(_) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes one value.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn update(&self, key: &K, value: &V) -> io::Result<()> {
        let mut element = self.element(key, address(value));
        // SAFETY: key and value are alive and have the map's sizes; the kernel only reads them.
        unsafe { bpf(command::MAP_UPDATE_ELEM, &mut element) }.map(drop)
    }

    /// Removes one entry; that there is none is no error.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn delete(&self, key: &K) -> io::Result<()> {
        let mut element = self.element(key, 0);
        // SAFETY: the key is alive and has the map's size.
        match unsafe { bpf(command::MAP_DELETE_ELEM, &mut element) } {
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
            _ => Ok(()),
        }
    }
}

impl<K, V> AsFd for Map<K, V> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<K, V> Map<K, V>
where
    K: IntoBytes + FromBytes + Immutable + Copy,
    V: IntoBytes + FromBytes + Immutable,
{
    /// The keys of a hash map that has `most` entries at most.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn keys(&self, most: u32) -> io::Result<Vec<K>> {
        let mut keys = Vec::new();
        // Keys that are made meanwhile do not make it endless.
        for _ in 0..most {
            let Some(key) = self.key_after(keys.last())? else { break };
            keys.push(key);
        }
        Ok(keys)
    }

    /// The key after another, or the first.
    fn key_after(&self, last: Option<&K>) -> io::Result<Option<K>> {
        let mut next = K::new_zeroed();
        let mut element = Element {
            map: number(self.fd.as_fd()),
            key: last.map_or(0, address),
            value: address_mut(&mut next),
            ..Element::default()
        };
        // SAFETY: both keys are alive and have the map's size; a null one asks for the first.
        match unsafe { bpf(command::MAP_GET_NEXT_KEY, &mut element) } {
            Ok(_) => Ok(Some(next)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How often a program did not run because it was running on the same CPU already (`recursion_misses` of `struct
/// bpf_prog_info`).
///
/// # Errors
/// What the kernel says.
pub(super) fn missed_runs(program: BorrowedFd<'_>) -> io::Result<u64> {
    const MISSES: usize = 208 / 8;
    let mut info = [0_u64; MISSES + 1];
    let mut query = InfoQuery {
        fd: number(program),
        length: u32::try_from(size_of_val(&info)).expect("an array of a few words"),
        info: address_mut(&mut info),
    };
    // SAFETY: `info` is alive and as long as said; all addresses and lengths in it are zero.
    unsafe { bpf(command::OBJ_GET_INFO_BY_FD, &mut query) }?;
    Ok(info[MISSES])
}

/// A per-CPU array of `V`, and how many CPUs it has a value for.
#[derive(Debug)]
pub(super) struct PerCpu<V> {
    map: Map<u32, V>,
    cpus: usize,
}

impl<V: IntoBytes + FromBytes + Immutable + Clone> PerCpu<V> {
    /// The kernel pads each CPU's value to eight bytes.
    const FITS: () = assert!(size_of::<V>().is_multiple_of(8));

    /// Takes a map of a machine with `cpus` possible CPUs.
    ///
    /// # Errors
    /// When the kernel cannot tell, or the value's size differs.
    pub(super) fn new(map: BorrowedFd<'_>, cpus: usize) -> io::Result<Self> {
        let () = Self::FITS;
        Ok(Self { map: Map::new(map)?, cpus })
    }

    /// How many CPUs it has values for.
    pub(super) const fn cpus(&self) -> usize {
        self.cpus
    }

    /// A buffer for [`PerCpu::read`].
    pub(super) fn buffer(&self) -> Vec<V> {
        vec![V::new_zeroed(); self.cpus]
    }

    /// Reads every CPU's value into `values`, which [`PerCpu::buffer`] made.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn read(&self, index: u32, values: &mut [V]) -> io::Result<()> {
        assert_eq!(values.len(), self.cpus);
        let mut element = self.map.element(&index, address_mut(values));
        // SAFETY: the slice is alive and has one value of the map's size for each possible CPU.
        unsafe { bpf(command::MAP_LOOKUP_ELEM, &mut element) }.map(drop)
    }

    /// Zeroes every CPU's value.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn zero(&self, index: u32) -> io::Result<()> {
        let values = self.buffer();
        let mut element = self.map.element(&index, address(values.as_slice()));
        // SAFETY: as in `read`; the kernel only reads it.
        unsafe { bpf(command::MAP_UPDATE_ELEM, &mut element) }.map(drop)
    }
}

/// Attaches a program to a device's TCX hook, before all others there. It stays as long as the descriptor is open.
///
/// The program runs at once, but the call (and closing the descriptor) returns only after an RCU grace period, some
/// 14 ms at 250 Hz, during which the kernel holds the lock that all changes of links need. A clsact filter has no
/// such wait.
///
/// # Errors
/// `EINVAL` where the kernel has no TCX, `ENODEV` when the device is gone.
pub(super) fn tcx_attach(program: BorrowedFd<'_>, ifindex: u32, hook: TcxHook) -> io::Result<OwnedFd> {
    let mut create = LinkCreate {
        program: number(program),
        target: ifindex,
        attach_type: hook as u32,
        flags: BEFORE,
        ..LinkCreate::default()
    };
    // SAFETY: no addresses inside.
    unsafe { bpf(command::LINK_CREATE, &mut create) }.map(owned)
}

/// Attaches a program to a control group and those below it, beside whatever is there. It stays as long as the descriptor is
/// open.
///
/// # Errors
/// What the kernel says.
pub(super) fn group_attach(
    program: BorrowedFd<'_>,
    group: BorrowedFd<'_>,
    hook: GroupHook,
) -> io::Result<OwnedFd> {
    let mut create = LinkCreate {
        program: number(program),
        target: number(group),
        attach_type: hook as u32,
        ..LinkCreate::default()
    };
    // SAFETY: no addresses inside.
    unsafe { bpf(command::LINK_CREATE, &mut create) }.map(owned)
}

/// The device that a TCX link of this hook is at; `None` when that is gone, or it is another kind of link.
///
/// # Errors
/// What the kernel says.
pub(super) fn tcx_device(link: BorrowedFd<'_>, hook: TcxHook) -> io::Result<Option<u32>> {
    let mut info = LinkInfo::default();
    let mut query = InfoQuery {
        fd: number(link),
        length: u32::try_from(size_of::<LinkInfo>()).expect("a struct of a few words"),
        info: address_mut(&mut info),
    };
    // SAFETY: `info` is alive and as long as said.
    unsafe { bpf(command::OBJ_GET_INFO_BY_FD, &mut query) }?;
    let is_ours = info.kind == LINK_TYPE_TCX && info.attach_type == hook as u32;
    Ok(Some(info.ifindex).filter(|ifindex| is_ours && *ifindex != 0))
}

/// Puts another program in a link's place: every packet is seen by the one or by the other.
///
/// # Errors
/// `ENOLINK` when the link's device is gone.
pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut update = LinkUpdate { link: number(link), program: number(program), ..LinkUpdate::default() };
    // SAFETY: no addresses inside.
    unsafe { bpf(command::LINK_UPDATE, &mut update) }.map(drop)
}

/// Pins a map or a link at a path of the BPF file system: it stays when nobody has it open.
///
/// # Errors
/// What the kernel says.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut pin = Object { path: path.as_ptr() as u64, fd: number(object), flags: 0 };
    // SAFETY: the path is alive and ends in a zero.
    unsafe { bpf(command::OBJ_PIN, &mut pin) }.map(drop)
}

/// Opens what is pinned at a path.
///
/// # Errors
/// What the kernel says.
pub(super) fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut get = Object { path: path.as_ptr() as u64, ..Object::default() };
    // SAFETY: the path is alive and ends in a zero.
    unsafe { bpf(command::OBJ_GET, &mut get) }.map(owned)
}

/// The id of the control group at which a link holds its program; `None` when the group is gone.
///
/// # Errors
/// What the kernel says: an older one may want a right for the question.
pub(super) fn group_of(link: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let mut info = GroupLinkInfo::default();
    let mut query = InfoQuery {
        fd: number(link),
        length: u32::try_from(size_of::<GroupLinkInfo>()).expect("a struct of a few words"),
        info: address_mut(&mut info),
    };
    // SAFETY: `info` is alive and as long as said.
    unsafe { bpf(command::OBJ_GET_INFO_BY_FD, &mut query) }?;
    Ok((info.group != 0).then_some(info.group))
}

/// Whether the kernel has TCX, asked of a device's hook without changing anything.
pub(super) fn has_tcx(ifindex: u32) -> bool {
    let mut query = ProgramQuery { ifindex, attach_type: TcxHook::Ingress as u32, ..ProgramQuery::default() };
    // SAFETY: no addresses inside: with a count of 0 the kernel writes no ids.
    unsafe { bpf(command::PROG_QUERY, &mut query) }.is_ok()
}

/// A one-entry map of maps: an update of it returns only when no program still runs that began before.
#[derive(Debug)]
pub(super) struct GraceMap {
    outer: OwnedFd,
    inner: OwnedFd,
}

impl GraceMap {
    /// Makes the two maps.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new() -> io::Result<Self> {
        let inner = create_map(MapCreate { kind: MAP_TYPE_ARRAY, ..MapCreate::SMALLEST })?;
        let of_maps = MapCreate { kind: MAP_TYPE_ARRAY_OF_MAPS, ..MapCreate::SMALLEST };
        let outer = create_map(MapCreate { inner: number(inner.as_fd()), ..of_maps })?;
        Ok(Self { outer, inner })
    }

    /// Waits.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn wait(&self) -> io::Result<()> {
        let (key, value) = (0_u32, number(self.inner.as_fd()));
        let mut element = Element {
            map: number(self.outer.as_fd()),
            key: address(&key),
            value: address(&value),
            ..Element::default()
        };
        // SAFETY: key and value are alive and have the map's sizes.
        unsafe { bpf(command::MAP_UPDATE_ELEM, &mut element) }.map(drop)
    }
}

impl MapCreate {
    /// One entry of four bytes.
    const SMALLEST: Self = Self { kind: 0, key_size: 4, value_size: 4, max_entries: 1, flags: 0, inner: 0 };
}

/// Makes a map.
fn create_map(mut create: MapCreate) -> io::Result<OwnedFd> {
    // SAFETY: no addresses inside.
    unsafe { bpf(command::MAP_CREATE, &mut create) }.map(owned)
}
