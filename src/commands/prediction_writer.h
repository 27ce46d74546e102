/// Writes the answers of predict, one for each input, and reports the inputs that have none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "tasks/findings.h"

namespace trainyard {

enum class PredictionFormat : std::uint8_t {
  text,
  json,  ///< an object for each input, one per line
};

/// Answers go to standard output, errors to standard error and, as JSON, also to standard output. Throws what
/// write_output() throws.
class PredictionWriter {
 public:
  /// Images of predictions go to `folder`, or to "predictions" if it is empty, which is created if necessary.
  PredictionWriter(PredictionFormat format, const std::string& folder)
      : format_(format), folder_(folder.empty() ? "predictions" : folder) {}

  /// A file, or a row of one: its prediction; none: the outputs of the model are not finite. Throws RunError if an
  /// image cannot be written.
  void answer_file(const std::string& name, const std::optional<Prediction>& prediction);
  void refuse_file(const std::string& name, const std::string& error) { refuse("file", name, error); }

  void answer_prompt(const std::string& prompt, const Prediction& prediction) const;
  void refuse_prompt(const std::string& prompt, const std::string& error) { refuse("prompt", prompt, error); }

  /// The number of inputs without a prediction so far.
  int refused() const { return refused_; }

 private:
  void refuse(const std::string& kind, const std::string& input, const std::string& error);
  std::string write_image(const std::string& file, const Prediction& prediction);

  PredictionFormat format_;
  std::filesystem::path folder_;
  std::map<std::string, int> written_;  // how often for each stem of an input's name
  int refused_ = 0;
};

}  // namespace trainyard
