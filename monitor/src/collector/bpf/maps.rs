//! Maps. A [`Map`] knows the types of its keys and values and has checked their sizes against the kernel's, so that
//! everything it offers is safe.

use super::{InfoQuery, address, address_mut, bpf, command, number, owned};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{io, marker::PhantomData};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const MAP_TYPE_HASH: u32 = 1;
const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;
/// Memory for an entry is taken when it is made.
const NO_PREALLOCATION: u32 = 1;

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct Element {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
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

/// A map whose keys are `K` and whose values (of one CPU, where they are per CPU) are `V`.
#[derive(Debug)]
pub(in crate::collector) struct Map<K, V> {
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
    pub(in crate::collector) fn new(map: BorrowedFd<'_>) -> io::Result<Self> {
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
    pub(in crate::collector) fn hash(most: u32) -> io::Result<Self> {
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
    pub(in crate::collector) fn single() -> io::Result<Self> {
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
    pub(in crate::collector) fn lookup(&self, key: &K) -> io::Result<Option<V>> {
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
    pub(in crate::collector) fn update(&self, key: &K, value: &V) -> io::Result<()> {
        let mut element = self.element(key, address(value));
        // SAFETY: key and value are alive and have the map's sizes; the kernel only reads them.
        unsafe { bpf(command::MAP_UPDATE_ELEM, &mut element) }.map(drop)
    }

    /// Removes one entry; that there is none is no error.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn delete(&self, key: &K) -> io::Result<()> {
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
    pub(in crate::collector) fn keys(&self, most: u32) -> io::Result<Vec<K>> {
        let mut keys = Vec::new();
        // Keys that are made meanwhile do not make it endless.
        for _ in 0..most {
            let Some(key) = self.key_after(keys.last())? else { break };
            keys.push(key);
        }
        Ok(keys)
    }

    /// The key after another, or the first.
    pub(super) fn key_after(&self, last: Option<&K>) -> io::Result<Option<K>> {
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

/// A per-CPU array of `V`, and how many CPUs it has a value for.
#[derive(Debug)]
pub(in crate::collector) struct PerCpu<V> {
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
    pub(in crate::collector) fn new(map: BorrowedFd<'_>, cpus: usize) -> io::Result<Self> {
        let () = Self::FITS;
        Ok(Self { map: Map::new(map)?, cpus })
    }

    /// How many CPUs it has values for.
    pub(in crate::collector) const fn cpus(&self) -> usize {
        self.cpus
    }

    /// A buffer for [`PerCpu::read`].
    pub(in crate::collector) fn buffer(&self) -> Vec<V> {
        vec![V::new_zeroed(); self.cpus]
    }

    /// Reads every CPU's value into `values`, which [`PerCpu::buffer`] made.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn read(&self, index: u32, values: &mut [V]) -> io::Result<()> {
        assert_eq!(values.len(), self.cpus);
        let mut element = self.map.element(&index, address_mut(values));
        // SAFETY: the slice is alive and has one value of the map's size for each possible CPU.
        unsafe { bpf(command::MAP_LOOKUP_ELEM, &mut element) }.map(drop)
    }

    /// Zeroes every CPU's value.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn zero(&self, index: u32) -> io::Result<()> {
        let values = self.buffer();
        let mut element = self.map.element(&index, address(values.as_slice()));
        // SAFETY: as in `read`; the kernel only reads it.
        unsafe { bpf(command::MAP_UPDATE_ELEM, &mut element) }.map(drop)
    }
}

/// A one-entry map of maps: an update of it returns only when no program still runs that began before.
#[derive(Debug)]
pub(in crate::collector) struct GraceMap {
    outer: OwnedFd,
    inner: OwnedFd,
}

impl GraceMap {
    /// Makes the two maps.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn new() -> io::Result<Self> {
        let inner = create_map(MapCreate { kind: MAP_TYPE_ARRAY, ..MapCreate::SMALLEST })?;
        let of_maps = MapCreate { kind: MAP_TYPE_ARRAY_OF_MAPS, ..MapCreate::SMALLEST };
        let outer = create_map(MapCreate { inner: number(inner.as_fd()), ..of_maps })?;
        Ok(Self { outer, inner })
    }

    /// Waits.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn wait(&self) -> io::Result<()> {
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
