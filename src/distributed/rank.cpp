#include "distributed/rank.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <climits>
#include <cstdlib>

#include <unistd.h>

#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr const char* where = "distributed";
constexpr int max_ranks = 1 << 20;
constexpr int max_ports = 65'535;

int number_of(const std::string& text, const char* name, int least, int most) {
  int value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end && value >= least && value <= most) return value;
  throw UsageError(where, "the environment variable {} is '{}'; allowed: whole numbers from {} to {}", name,
                   printable(text), least, most);
}

// Reads the environment variables of one launcher.
class Variables {
 public:
  Variables(const Environment& environment, const char* launcher) : environment_(environment), launcher_(launcher) {}

  std::string text(const char* name) const {
    if (std::optional<std::string> value = environment_(name)) return *value;
    throw UsageError(where,
                     "the environment has variables of {0}, but {1} is missing; start the program with {0}, or unset "
                     "them (docs/many-gpus.md lists them)",
                     launcher_, name);
  }

  int number(const char* name, int least, int most) const { return number_of(text(name), name, least, most); }

  int number_or(const char* name, int otherwise, int least, int most) const {
    return environment_(name) ? number(name, least, most) : otherwise;
  }

 private:
  const Environment& environment_;
  const char* launcher_;
};

void check(const Rank& rank) {
  const bool fits = rank.rank < rank.world_size && rank.local_rank < rank.local_world_size &&
                    rank.local_world_size <= rank.world_size;
  if (fits) return;
  throw UsageError(where,
                   "{} has started this process as rank {} of {}, local rank {} of {}, which cannot be: see that no "
                   "variables of another launcher are set",
                   rank.launcher, rank.rank, rank.world_size, rank.local_rank, rank.local_world_size);
}

// Returns the first host of a list in Slurm's format: "gpu07" for "gpu[07,09-12],login".
std::string first_host(const std::string& list) {
  const std::size_t end = std::min(list.find_first_of(",["), list.size());
  std::string host = list.substr(0, end);
  if (end < list.size() && list[end] == '[') {
    const std::size_t number_end = std::min(list.find_first_of(",-]", end), list.size());
    host += list.substr(end + 1, number_end - end - 1);
  }
  return host;
}

// Parses the number of ranks per host under Slurm, e.g. "4(x2),3": two hosts with four tasks each, then one with three.
// Uses the first number, because all hosts should have the same.
int tasks_of_host(const std::string& text, const char* name) {
  return number_of(text.substr(0, std::min(text.find_first_of("(,"), text.size())), name, 1, max_ranks);
}

Rank of_torchrun(const Environment& environment) {
  const Variables variables(environment, "torchrun");
  Rank rank{.rank = variables.number("RANK", 0, max_ranks - 1),
            .world_size = variables.number("WORLD_SIZE", 1, max_ranks),
            .local_rank = variables.number_or("LOCAL_RANK", 0, 0, max_ranks - 1),
            .local_world_size = variables.number_or("LOCAL_WORLD_SIZE", 1, 1, max_ranks),
            .node = variables.number_or("GROUP_RANK", 0, 0, max_ranks),
            .address = variables.text("MASTER_ADDR"),
            .port = variables.number("MASTER_PORT", 1, max_ports),
            .restarts = variables.number_or("TORCHELASTIC_RESTART_COUNT", 0, 0, max_ranks),
            .launcher = "torchrun"};
  rank.hosts_store = rank.is_first() && environment("TORCHELASTIC_USE_AGENT_STORE").value_or("") != "True";
  return rank;
}

// Derives the port from the job id, so that all ranks know it. The range is outside the ephemeral and well-known ports.
int port_of_job(int job) {
  constexpr int first = 20'000;
  constexpr int count = 10'000;
  return first + job % count;
}

Rank of_slurm(const Environment& environment) {
  const Variables variables(environment, "Slurm");
  Rank rank{.rank = variables.number("SLURM_PROCID", 0, max_ranks - 1),
            .world_size = variables.number("SLURM_STEP_NUM_TASKS", 1, max_ranks),
            .local_rank = variables.number("SLURM_LOCALID", 0, max_ranks - 1),
            .local_world_size = tasks_of_host(variables.text("SLURM_STEP_TASKS_PER_NODE"), "SLURM_STEP_TASKS_PER_NODE"),
            .restarts = variables.number_or("SLURM_RESTART_COUNT", 0, 0, max_ranks),
            .launcher = "Slurm"};
  rank.address = environment("MASTER_ADDR").value_or("");
  if (rank.address.empty()) rank.address = first_host(variables.text("SLURM_STEP_NODELIST"));
  rank.port = variables.number_or("MASTER_PORT", 0, 1, max_ports);
  if (rank.port == 0) rank.port = port_of_job(variables.number("SLURM_JOB_ID", 0, 2'147'483'647));
  rank.hosts_store = rank.is_first();
  return rank;
}

Rank of_open_mpi(const Environment& environment) {
  const Variables variables(environment, "Open MPI");
  Rank rank{.rank = variables.number("OMPI_COMM_WORLD_RANK", 0, max_ranks - 1),
            .world_size = variables.number("OMPI_COMM_WORLD_SIZE", 1, max_ranks),
            .local_rank = variables.number("OMPI_COMM_WORLD_LOCAL_RANK", 0, max_ranks - 1),
            .local_world_size = variables.number("OMPI_COMM_WORLD_LOCAL_SIZE", 1, max_ranks),
            .port = variables.number_or("MASTER_PORT", 29'500, 1, max_ports),
            .launcher = "Open MPI"};
  rank.address = environment("MASTER_ADDR").value_or(rank.local_world_size == rank.world_size ? "127.0.0.1" : "");
  if (rank.address.empty()) {
    throw UsageError(where,
                     "Open MPI has started ranks on several hosts, and MASTER_ADDR does not say where rank 0 is: give "
                     "mpirun -x MASTER_ADDR=<its host>");
  }
  rank.hosts_store = rank.is_first();
  return rank;
}

}  // namespace

Rank rank_of(const Environment& environment) {
  Rank rank;
  if (environment("RANK") && environment("WORLD_SIZE")) {
    rank = of_torchrun(environment);
  } else if (environment("SLURM_PROCID") && environment("SLURM_STEP_NUM_TASKS")) {
    rank = of_slurm(environment);
  } else if (environment("OMPI_COMM_WORLD_RANK")) {
    rank = of_open_mpi(environment);
  }
  check(rank);
  return rank;
}

Rank rank_of_process() {
  return rank_of([](const char* name) -> std::optional<std::string> {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here sets a variable
    if (value == nullptr) return std::nullopt;
    return value;
  });
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  check_call(gethostname(name.data(), name.size() - 1), where, "gethostname", "this host");
  return name.data();
}

}  // namespace trainyard
