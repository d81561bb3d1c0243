//! What the agent's processes may do: read from the kernel, and tried from inside.

mod attack;
mod docker;
mod holds;
mod hostile;
mod restarts;
mod rig;
