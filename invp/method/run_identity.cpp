#include "invp/method/run_identity.h"

#include "engine/core/numerics.h"

namespace invp {

std::string describe(const AugmentConfig& a) {
  return message(a.image_size, " px, framing ", static_cast<int>(a.framing), ", crop ",
                 a.crop_scale.low, "-", a.crop_scale.high, " ratio ", a.crop_ratio.low, "-",
                 a.crop_ratio.high, ", jitter ", a.jitter[0], ",", a.jitter[1], ",", a.jitter[2],
                 ",", a.jitter[3], " p ", a.jitter_prob, ", gray ", a.gray_prob, ", blur ",
                 a.blur_prob, " sigma ", a.blur_sigma.low, "-", a.blur_sigma.high, ", flip ",
                 a.flip_prob);
}

std::string describe_precision(DType compute_type, Device device) {
  const bool tf32 = compute_type == DType::kF32 && device != kCpu;
  return tf32 && numerics().allow_tf32 ? "tf32" : name_of(compute_type);
}

RunIdentity identity_of(const PretrainConfig& config, const Dataset& train) {
  const ObjectiveConfig& o = config.objective;
  return {{"arch", name_of(config.network.arch)},
          {"width", message(config.network.width)},
          {"dim", message(config.network.dim)},
          {"head", config.network.head == HeadKind::kMlp ? "mlp" : "linear"},
          {"training images", message(train.size())},
          {"batch-size", message(config.batch_size)},
          {"epochs", message(config.epochs)},
          {"lr", message(config.learning_rate)},
          {"schedule", config.schedule == ScheduleKind::kCosine ? "cosine" : "step"},
          {"warmup-epochs", message(config.warmup_epochs)},
          {"momentum", message(config.momentum)},
          {"weight-decay", message(config.weight_decay)},
          {"precision", describe_precision(config.compute_type, config.device)},
          {"objective", o.form == ContrastForm::kPaper ? "paper" : "released"},
          {"tau", message(o.tau)},
          {"bank-momentum", message(o.bank_momentum)},
          {"neighbors", message(o.neighbors)},
          {"steps", message(o.steps)},
          {"hard-positives", message(o.hard_positives)},
          {"background", message(o.background)},
          {"lambda", message(o.no_invariance ? 0.0F : o.lambda)},
          {"warm-epochs", message(o.warm_epochs)},
          {"ramp", message(static_cast<int>(o.ramp))},
          {"positives", message(static_cast<int>(o.positives))},
          {"bank-start", config.bank_start == BankStart::kRandom ? "random" : "features"},
          {"center-head", config.center_head ? "yes" : "no"},
          {"augmentation",
           describe(config.augment) +
               (config.decode_on == DecodeOn::kDevice ? ", decoded on the device" : "")},
          {"seed", message(config.seed)}};
}

}  // namespace invp
