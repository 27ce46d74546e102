#include "loader/data_loader.h"

#include <algorithm>

#include "util/clock.h"
#include "util/error.h"

namespace trainyard {
namespace {

std::vector<std::uint64_t> indices_at(const SampleOrder& order, std::uint64_t first, std::uint64_t stride,
                                      std::uint64_t count) {
  std::vector<std::uint64_t> indices;
  for (std::uint64_t i = 0; i < count; ++i) indices.push_back(order(first + i * stride));
  return indices;
}

}  // namespace

DataLoader::DataLoader(WorkerPool& pool, Split split, const DataLoaderOptions& options)
    : pool_(pool), id_(pool.new_loader()), split_(static_cast<std::uint32_t>(split)), options_(options) {
  batch_size_ = static_cast<std::uint64_t>(options.batch_size);
  if (batch_size_ == 0) batch_size_ = static_cast<std::uint64_t>(pool.options().batch_size) * options.world_size;
  const std::uint64_t size = this->split().size;
  batches_ = options.drop_last ? size / batch_size_ : (size + batch_size_ - 1) / batch_size_;
  batches_ = std::min(batches_, options.max_batches);
  end_ = batches_;
}

std::uint64_t DataLoader::samples_of(std::uint64_t batch) const {
  return std::min(batch_size_, split().size - batch * batch_size_);
}

void DataLoader::start_epoch(std::uint64_t epoch, std::uint64_t first_batch) {
  start({range_of(epoch).first + first_batch, range_of(epoch).end});
}

void DataLoader::start(const BatchRange& range) {
  const bool begun = ahead_.range == range && pool_.try_switch_to(ahead_.ticket, id_);
  if (!begun) pool_.serve(id_);
  next_ = range.first;
  end_ = range.end;
  published_ = begun ? ahead_.published : range.first;
  ahead_ = {};
  meter_.start(pool_);
  publish_ahead();
}

void DataLoader::follow_with(DataLoader* other, const BatchRange& range) {
  follower_ = other;
  follower_range_ = range;
}

std::optional<Batch> DataLoader::next() {
  if (next_ >= end_) return std::nullopt;
  const std::int64_t began = monotonic_ns();
  if (!pool_.is_serving(id_)) {
    pool_.serve(id_);
    published_ = next_;
  }
  publish_ahead();
  if (!pool_.has_published()) {
    throw RunError("loader", "all {} slots are held by batches that have not been released; hold fewer at once",
                   pool_.arena().slots_usable());
  }
  TakenBatch taken = pool_.take();
  const std::uint64_t epoch = next_ / batches_;
  const std::uint64_t number = next_++ % batches_;
  publish_ahead();
  const double waited = static_cast<double>(monotonic_ns() - began) * 1e-9;

  const BatchRequest samples = request(epoch, number);
  const std::size_t count = taken.kept.empty() ? samples.count : taken.kept.size();
  std::vector<BatchField> fields = fields_in(taken.lease.slot(), count);
  std::size_t bytes = 0;
  for (const BatchField& field : fields) bytes += field.elements.size();
  meter_.add(waited, count, bytes);
  return Batch(epoch, number, samples, order(epoch), std::move(fields), std::move(taken));
}

std::vector<BatchField> DataLoader::fields_in(std::uint32_t slot, std::size_t count) const {
  const Arena& arena = pool_.arena();
  const std::vector<Field>& fields = split().fields;
  std::vector<BatchField> result;
  result.reserve(fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    BatchField& one = result.emplace_back(BatchField{.field = &fields[i], .elements = {}, .rows = {}, .begins = {}});
    std::size_t rows = count;
    if (fields[i].varies) {
      one.rows = arena.rows(slot, i).first(count);
      one.begins = arena.begins(slot, i).first(count + 1);
      rows = static_cast<std::size_t>(one.begins.back());
    }
    one.elements = arena.field(slot, i).first(rows * fields[i].row_bytes());
  }
  return result;
}

const BatchField& Batch::field(std::string_view name) const {
  std::vector<Field> all;
  for (const BatchField& field : fields_) {
    if (field.field->name == name) return field;
    all.push_back(*field.field);
  }
  throw RunError("loader", "there is no field '{}' in a batch of {}", name, describe(all));
}

std::vector<std::uint64_t> DataLoader::sample_indices(std::uint64_t epoch, std::uint64_t batch) const {
  const BatchRequest samples = request(epoch, batch);
  return indices_at(order(epoch), samples.first, samples.stride, samples.count);
}

std::vector<std::uint64_t> DataLoader::indices_of_batch(std::uint64_t epoch, std::uint64_t batch) const {
  return indices_at(order(epoch), batch * batch_size_, /*stride=*/1, samples_of(batch));
}

std::vector<std::uint64_t> DataLoader::random_keys(std::uint64_t epoch, std::uint64_t batch) const {
  const BatchRequest samples = request(epoch, batch);
  const SampleOrder order = this->order(epoch);
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 0; i < samples.count; ++i) {
    keys.push_back(order.random_key(samples.first + i * samples.stride));
  }
  return keys;
}

SampleOrder DataLoader::order(std::uint64_t epoch) const {
  return SampleOrder(pool_.options().seed, options_.repeat ? 0 : epoch, split().size, options_.shuffle,
                     &split().by_class);
}

BatchRequest DataLoader::request(std::uint64_t epoch, std::uint64_t number) const {
  const std::uint64_t stride = options_.world_size;
  const std::uint64_t rank = options_.rank;
  const std::uint64_t samples = samples_of(number);
  return {.epoch = options_.repeat ? 0 : epoch,
          .first = number * batch_size_ + rank,
          .stride = stride,
          .count = static_cast<std::uint32_t>(rank < samples ? (samples - rank + stride - 1) / stride : 0),
          .split = split_,
          .shuffle = options_.shuffle,
          .unmirrored = options_.unmirrored};
}

void DataLoader::publish_ahead() {
  for (; published_ < end_ && pool_.can_publish(); ++published_) {
    pool_.publish(request(published_ / batches_, published_ % batches_));
  }
  if (published_ == end_ && follower_ != nullptr) follower_->prepare(follower_range_);
}

void DataLoader::prepare(const BatchRange& range) {
  if (!pool_.has(ahead_.ticket) || ahead_.range != range) ahead_ = {.range = range, .published = range.first};
  for (; ahead_.published < range.end && pool_.can_publish(); ++ahead_.published) {
    const std::uint64_t ticket = pool_.publish(request(ahead_.published / batches_, ahead_.published % batches_));
    if (ahead_.ticket == 0) ahead_.ticket = ticket;
  }
}

}  // namespace trainyard
