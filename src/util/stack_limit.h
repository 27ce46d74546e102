/// Makes the process independent of the limit of the stack (`ulimit -s`).
#pragma once

namespace trainyard {

/// Raises the soft limit towards the usual 8 MiB, as far as the hard limit allows, and gives threads that are started
/// from now on stacks of that size: the C library would give them the limit that the program was started with, most of
/// which the libraries' thread-local variables take. Throws MachineError if the hard limit is too low for the main
/// thread. Call it once, before threads are started.
void raise_stack_limit();

}  // namespace trainyard
