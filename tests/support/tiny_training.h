/// The command line of a training that takes a second: one thread, on a few synthetic 8×8 images or on other data.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace trainyard {

/// The run's folder is `runs`/`name`. `more` alternates flags and their values, which replace the defaults for the same
/// flag; with a --data.name, the flags of the synthetic images are left out.
inline std::vector<std::string> tiny_training(const std::string& runs, const std::string& name,
                                              const std::string& epochs, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {TRAINYARD_BINARY,
                                    "train",
                                    "--data.name",
                                    "synthetic",
                                    "--data.synthetic.shape",
                                    "8,8,1",
                                    "--data.synthetic.samples",
                                    "64",
                                    "--loader.workers",
                                    "0",
                                    "--loader.batch_size",
                                    "16",
                                    "--train.device",
                                    "cpu",
                                    "--train.threads",
                                    "1",
                                    "--train.epochs",
                                    epochs,
                                    "--run.dir",
                                    runs,
                                    "--run.name",
                                    name};
  const auto other_data = std::find(more.begin(), more.end(), "--data.name");
  if (other_data != more.end() && *(other_data + 1) != "synthetic") {
    for (auto word = words.begin(); word != words.end();) {
      word = word->starts_with("--data.synthetic") ? words.erase(word, word + 2) : word + 1;
    }
  }
  for (std::size_t i = 0; i + 1 < more.size(); i += 2) {
    const auto flag = std::find(words.begin() + 2, words.end(), more[i]);
    if (flag == words.end()) {
      words.insert(words.end(), {more[i], more[i + 1]});
    } else {
      *(flag + 1) = more[i + 1];
    }
  }
  return words;
}

}  // namespace trainyard
