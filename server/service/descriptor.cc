#include "server/service/descriptor.h"

#include "dropout/v1/dropout_service.grpc.pb.h"

namespace dropoutd {

const google::protobuf::ServiceDescriptor& ContractService() {
  // The table's own file name: nothing else refers to the object file that registers it, so that
  // the linker would leave it out, and reflection would not know the service.
  static const auto* const service =
      google::protobuf::DescriptorPool::generated_pool()
          ->FindFileByName(::descriptor_table_dropout_2fv1_2fdropout_5fservice_2eproto.filename)
          ->FindServiceByName("DropoutService");
  return *service;
}

}  // namespace dropoutd
