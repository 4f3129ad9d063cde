"""Images that pydicom has no sample of, as a machine would write them: complete as far as dciodvfy asks."""
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.4243"
MARK = "CANARY"


def item(**elements):
    d = Dataset()
    for k, v in elements.items():
        setattr(d, k, v)
    return d


def code(value, scheme, meaning):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def base(sop_class, modality, **more):
    """Patient, study, series, equipment: with the identities that each of them may have."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, f"{ROOT}.1.1.1"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    d.is_little_endian, d.is_implicit_VR = True, False
    d.SpecificCharacterSet = "ISO_IR 100"
    d.SOPClassUID, d.SOPInstanceUID = sop_class, f"{ROOT}.1.1.1"
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = f"{ROOT}.1", f"{ROOT}.1.1", f"{ROOT}.1.2"
    d.Modality, d.Manufacturer, d.ManufacturerModelName = modality, "Company", "Model 7"
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = f"{MARK}son^Jane", f"{MARK}001", "19620304", "F"
    d.StudyDate, d.StudyTime, d.AccessionNumber, d.StudyID = "20200523", "101530", f"{MARK}ACC1", f"{MARK}S1"
    d.SeriesDate, d.SeriesTime, d.ContentDate, d.ContentTime = "20200523", "101600", "20200523", "101700"
    d.AcquisitionDate, d.AcquisitionTime = "20200523", "101610"
    d.ReferringPhysicianName, d.OperatorsName = f"{MARK}ref^Doc", f"{MARK}op^Erator"
    d.InstitutionName, d.StationName, d.DeviceSerialNumber = f"{MARK} Hospital", f"{MARK}ST", f"{MARK}SN"
    d.SeriesNumber, d.InstanceNumber, d.AcquisitionNumber = 1, 1, 1
    d.StudyDescription, d.SeriesDescription, d.ProtocolName = "A STUDY", "A SERIES", "A PROTOCOL"
    for k, v in more.items():
        setattr(d, k, v)
    return d


def pixels(d, rows=8, columns=8, bits=16, frames=1, samples=1):
    d.Rows, d.Columns, d.SamplesPerPixel = rows, columns, samples
    d.BitsAllocated = bits
    d.BitsStored, d.HighBit = (12, 11) if bits == 16 else (bits, bits - 1)
    d.PixelRepresentation = 0
    d.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        d.PlanarConfiguration = 0
    n = rows * columns * samples * frames * bits // 8
    data = bytearray(i * 7 & 0xFF for i in range(n))
    if bits == 16:
        data[1::2] = bytes(b & 0x0F for b in data[1::2])
    d.PixelData = bytes(data)
    d["PixelData"].VR = "OW" if bits > 8 else "OB"
    if frames > 1:
        d.NumberOfFrames = frames
    return d


def plane(d):
    d.ImagePositionPatient, d.ImageOrientationPatient = [-10, -10, 5], [1, 0, 0, 0, 1, 0]
    d.PixelSpacing, d.SliceThickness, d.PositionReferenceIndicator = [1, 1], 3, ""
    return d


ORIENTATION = [code("102538003", "SCT", "recumbent")]
ORIENTATION[0].PatientOrientationModifierCodeSequence = [code("40199007", "SCT", "supine")]


def pet():
    d = base("1.2.840.10008.5.1.4.1.1.128", "PT", PatientWeight=71.5, PatientSize=1.68)
    d.ImageType = ["ORIGINAL", "PRIMARY"]
    d.SeriesType, d.Units, d.CountsSource, d.NumberOfSlices = ["WHOLE BODY", "IMAGE"], "BQML", "EMISSION", 20
    d.CorrectedImage, d.DecayCorrection, d.CollimatorType = ["DECY", "ATTN"], "START", "NONE"
    d.RandomsCorrectionMethod, d.ScatterCorrectionMethod = "DLYD", "model"
    d.AttenuationCorrectionMethod, d.ReconstructionMethod = "measured", "OSEM"
    tracer = item(RadiopharmaceuticalStartTime="091500", RadionuclideTotalDose=350e6, RadionuclideHalfLife=6586.2,
                  RadionuclidePositronFraction=0.97, Radiopharmaceutical="FDG",
                  RadiopharmaceuticalStartDateTime="20200523091500")
    tracer.RadionuclideCodeSequence = [code("77004003", "SCT", "^18^Fluorine")]
    tracer.RadiopharmaceuticalCodeSequence = [code("35321007", "SCT", "Fluorodeoxyglucose F^18^")]
    d.RadiopharmaceuticalInformationSequence = [tracer]
    d.PatientOrientationCodeSequence = ORIENTATION
    d.PatientGantryRelationshipCodeSequence = [code("102540008", "SCT", "headfirst")]
    d.FrameReferenceTime, d.ImageIndex, d.ActualFrameDuration, d.DecayFactor = 1000, 1, 2000, 1.02
    d.RescaleIntercept, d.RescaleSlope, d.AxialMash, d.AxialAcceptance = 0, 2.5, [1, 1], 1
    d.Laterality = ""
    pixels(plane(d))
    d.BitsStored, d.HighBit = 16, 15
    return d


def projection(sop_class, modality):
    d = base(sop_class, modality)
    del d.FrameOfReferenceUID
    d.PresentationIntentType, d.ImageType = "FOR PRESENTATION", ["ORIGINAL", "PRIMARY", ""]
    d.PatientOrientation, d.ImageLaterality, d.BodyPartExamined = ["L", "F"], "U", "CHEST"
    d.AnatomicRegionSequence = [code("51185008", "SCT", "Chest")]
    view = code("399348003", "SCT", "antero-posterior")
    view.ViewModifierCodeSequence = []
    d.ViewCodeSequence, d.AcquisitionContextSequence = [view], []
    d.DetectorType, d.DetectorConfiguration, d.DetectorID = "DIRECT", "AREA", f"{MARK}DET"
    d.ImagerPixelSpacing, d.PositionerType = [0.2, 0.2], "COLUMN" if modality == "DX" else "MAMMOGRAPHIC"
    d.PixelIntensityRelationship, d.PixelIntensityRelationshipSign = "LOG", -1
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = 0, 1, "US"
    d.PresentationLUTShape, d.LossyImageCompression, d.BurnedInAnnotation = "IDENTITY", "00", "NO"
    d.WindowCenter, d.WindowWidth = 2048, 4096
    return pixels(d)


def digital_xray():
    return projection("1.2.840.10008.5.1.4.1.1.1.1", "DX")


def mammogram():
    d = projection("1.2.840.10008.5.1.4.1.1.1.2", "MG")
    d.ImageLaterality, d.BodyPartExamined, d.PatientOrientation = "R", "BREAST", ["P", "F"]
    d.AnatomicRegionSequence = [code("76752008", "SCT", "Breast")]
    d.ViewCodeSequence[0].CodeValue, d.ViewCodeSequence[0].CodeMeaning = "399162004", "cranio-caudal"
    d.OrganExposed, d.PartialView, d.BreastImplantPresent = "BREAST", "NO", "NO"
    return d


def rt_image():
    d = base("1.2.840.10008.5.1.4.1.1.481.1", "RTIMAGE")
    d.ImageType, d.ConversionType = ["ORIGINAL", "PRIMARY", "PORTAL"], "DI"
    d.RTImageLabel, d.RTImagePlane, d.RTImageDescription = f"{MARK}", "NORMAL", f"for {MARK}son"
    d.XRayImageReceptorAngle, d.ImagePlanePixelSpacing, d.RTImagePosition = 0, [1, 1], [-4, 4]
    d.RadiationMachineName, d.RadiationMachineSAD, d.RadiationMachineSSD = f"{MARK} linac", 1000, 900
    d.RTImageSID, d.PositionReferenceIndicator, d.PrimaryDosimeterUnit = 1500, "", "MU"
    d.PatientOrientation, d.ReportedValuesOrigin, d.GantryAngle = "", "ACTUAL", 0
    d.BeamLimitingDeviceAngle = 0
    return pixels(d)


def rt_dose():
    d = base("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE")
    d.DoseUnits, d.DoseType, d.DoseSummationType, d.DoseComment = "GY", "PHYSICAL", "PLAN", f"{MARK}son"
    d.GridFrameOffsetVector, d.DoseGridScaling, d.FrameIncrementPointer = [0, 3, 6], 0.001, 0x3004000C
    d.TissueHeterogeneityCorrection = "IMAGE"
    plan = "1.2.840.10008.5.1.4.1.1.481.5"
    d.ReferencedRTPlanSequence = [item(ReferencedSOPClassUID=plan, ReferencedSOPInstanceUID=f"{ROOT}.5")]
    d.ReferencedStructureSetSequence = [item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.481.3",
                                             ReferencedSOPInstanceUID=f"{ROOT}.6")]
    d.DVHSequence = [item(DVHType="CUMULATIVE", DoseUnits="GY", DoseType="PHYSICAL", DVHDoseScaling=1, DVHVolumeUnits="CM3",
                          DVHNumberOfBins=2, DVHData=[0.1, 20, 0.1, 10], DVHMeanDose=0.15,
                          DVHReferencedROISequence=[item(ReferencedROINumber=1, DVHROIContributionType="INCLUDED")])]
    pixels(plane(d), frames=3)
    d.BitsStored, d.HighBit = 16, 15
    return d


def functional(frame):
    """One frame's groups."""
    f = item(FrameContentSequence=[item(DimensionIndexValues=[1, frame], StackID="1", InStackPositionNumber=frame,
                                        FrameAcquisitionNumber=1, FrameAcquisitionDateTime="20200523101610",
                                        FrameReferenceDateTime="20200523101610", FrameAcquisitionDuration=100.0,
                                        TemporalPositionIndex=1)])
    f.PlanePositionSequence = [item(ImagePositionPatient=[-10, -10, 3 * frame])]
    return f


def enhanced(sop_class, modality, shared):
    d = base(sop_class, modality)
    del d.AcquisitionDate, d.AcquisitionTime
    d.PatientPosition = "HFS"
    d.AcquisitionDateTime, d.AcquisitionDuration = "20200523101610", 12.5
    d.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    d.ContentQualification, d.BurnedInAnnotation, d.LossyImageCompression = "RESEARCH", "NO", "00"
    d.PresentationLUTShape, d.SoftwareVersions = "IDENTITY", "7.1"
    d.PixelPresentation, d.VolumetricProperties, d.VolumeBasedCalculationTechnique = "MONOCHROME", "VOLUME", "NONE"
    d.PositionReferenceIndicator, d.AcquisitionContextSequence = "", []
    d.DimensionOrganizationSequence = [item(DimensionOrganizationUID=f"{ROOT}.9")]
    d.DimensionIndexSequence = [
        item(DimensionIndexPointer=0x00209056, FunctionalGroupPointer=0x00209111, DimensionOrganizationUID=f"{ROOT}.9"),
        item(DimensionIndexPointer=0x00209057, FunctionalGroupPointer=0x00209111, DimensionOrganizationUID=f"{ROOT}.9")]
    shared.PlaneOrientationSequence = [item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    shared.PixelMeasuresSequence = [item(PixelSpacing=[1, 1], SliceThickness=3)]
    anatomy = item(FrameLaterality="U", AnatomicRegionSequence=[code("69536005", "SCT", "Head")])
    shared.FrameAnatomySequence = [anatomy]
    shared.FrameVOILUTSequence = [item(WindowCenter=100, WindowWidth=200)]
    d.SharedFunctionalGroupsSequence = [shared]
    d.PerFrameFunctionalGroupsSequence = [functional(i) for i in (1, 2)]
    pixels(d, frames=2)
    return d


def enhanced_mr():
    s = item()
    kind = item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME", VolumeBasedCalculationTechnique="NONE", ComplexImageComponent="MAGNITUDE",
                AcquisitionContrast="DIFFUSION")
    s.MRImageFrameTypeSequence = [kind]
    s.PixelValueTransformationSequence = [item(RescaleIntercept=0, RescaleSlope=1, RescaleType="US")]
    rate = item(OperatingModeSequence=[item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL")])
    rate.RepetitionTime, rate.FlipAngle, rate.EchoTrainLength = 3500, 90, 1
    rate.RFEchoTrainLength, rate.GradientEchoTrainLength = 1, 0
    rate.SpecificAbsorptionRateSequence = [item(SpecificAbsorptionRateDefinition="IEC_HEAD", SpecificAbsorptionRateValue=0.5)]
    rate.GradientOutputType, rate.GradientOutput = "DB_DT", 20.0
    s.MRTimingAndRelatedParametersSequence = [rate]
    s.MRFOVGeometrySequence = [item(InPlanePhaseEncodingDirection="ROW", MRAcquisitionFrequencyEncodingSteps=8,
                                    MRAcquisitionPhaseEncodingStepsInPlane=8, MRAcquisitionPhaseEncodingStepsOutOfPlane=1,
                                    PercentSampling=100, PercentPhaseFieldOfView=100)]
    s.MREchoSequence = [item(EffectiveEchoTime=92.0)]
    s.MRModifierSequence = [item(InversionRecovery="NO", FlowCompensation="NONE", Spoiling="NONE", T2Preparation="NO",
                                 SpectrallySelectedExcitation="NONE", SpatialPresaturation="NONE", PartialFourier="NO",
                                 ParallelAcquisition="NO")]
    s.MRImagingModifierSequence = [item(MagnetizationTransfer="NONE", BloodSignalNulling="NO", Tagging="NONE",
                                        TransmitterFrequency=123.2, PixelBandwidth=150)]
    s.MRReceiveCoilSequence = [item(ReceiveCoilName="Head_32", ReceiveCoilManufacturerName="Company",
                                    ReceiveCoilType="HEAD", QuadratureReceiveCoil="YES")]
    s.MRTransmitCoilSequence = [item(TransmitCoilName="Body", TransmitCoilManufacturerName="Company", TransmitCoilType="BODY")]
    s.MRAveragesSequence = [item(NumberOfAverages=1)]
    direction = item(DiffusionGradientOrientation=[1.0, 0.0, 0.0])
    s.MRDiffusionSequence = [item(DiffusionBValue=1000.0, DiffusionDirectionality="DIRECTIONAL",
                                  DiffusionGradientDirectionSequence=[direction])]
    d = enhanced("1.2.840.10008.5.1.4.1.1.4.1", "MR", s)
    d.ComplexImageComponent, d.AcquisitionContrast = "MAGNITUDE", "DIFFUSION"
    d.ResonantNucleus, d.KSpaceFiltering, d.MagneticFieldStrength = "1H", "NONE", 3
    d.ApplicableSafetyStandardAgency, d.PulseSequenceName, d.MRAcquisitionType = "IEC", "ep2d", "2D"
    d.EchoPulseSequence, d.MultipleSpinEcho, d.MultiPlanarExcitation, d.PhaseContrast = "SPIN", "NO", "NO", "NO"
    d.TimeOfFlightContrast, d.SteadyStatePulseSequence = "NO", "NONE"
    d.EchoPlanarPulseSequence, d.SaturationRecovery, d.SpectrallySelectedSuppression = "YES", "NO", "FAT"
    d.GeometryOfKSpaceTraversal, d.SegmentedKSpaceTraversal = "RECTILINEAR", "SINGLE"
    d.RectilinearPhaseEncodeReordering, d.NumberOfKSpaceTrajectories = "LINEAR", 1
    d.OversamplingPhase = "NONE"
    return d


def enhanced_ct():
    s = item()
    s.CTImageFrameTypeSequence = [item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], PixelPresentation="MONOCHROME",
                                       VolumetricProperties="VOLUME", VolumeBasedCalculationTechnique="NONE")]
    s.PixelValueTransformationSequence = [item(RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU")]
    s.CTAcquisitionTypeSequence = [item(AcquisitionType="SPIRAL", ConstantVolumeFlag="NO", FluoroscopyFlag="NO")]
    s.CTAcquisitionDetailsSequence = [item(RotationDirection="CW", RevolutionTime=0.5, SingleCollimationWidth=0.6,
                                           TotalCollimationWidth=19.2, TableHeight=145, GantryDetectorTilt=0,
                                           DataCollectionDiameter=500)]
    s.CTTableDynamicsSequence = [item(TableSpeed=40.0, TableFeedPerRotation=20.0, SpiralPitchFactor=1.0)]
    s.CTGeometrySequence = [item(DistanceSourceToDetector=1000, DistanceSourceToDataCollectionCenter=500.0)]
    s.CTPositionSequence = [item(TablePosition=100.0, DataCollectionCenterPatient=[0.0, 0.0, 0.0],
                                 ReconstructionTargetCenterPatient=[0.0, 0.0, 0.0])]
    s.CTReconstructionSequence = [item(ReconstructionAlgorithm="FILTER_BACK_PROJ", ConvolutionKernel="B30f",
                                       ConvolutionKernelGroup="SOFT_TISSUE", ReconstructionDiameter=350,
                                       ReconstructionPixelSpacing=[1.0, 1.0], ReconstructionAngle=360.0, ImageFilter="NONE")]
    s.CTExposureSequence = [item(ExposureTimeInms=500.0, XRayTubeCurrentInmA=200.0, ExposureInmAs=100.0,
                                 ExposureModulationType="NONE", CTDIvol=5.5)]
    s.CTXRayDetailsSequence = [item(KVP=120, FocalSpots=[0.7], FilterType="FLAT", FilterMaterial="ALUMINUM")]
    s.IrradiationEventIdentificationSequence = [item(IrradiationEventUID=f"{ROOT}.77")]
    d = enhanced("1.2.840.10008.5.1.4.1.1.2.1", "CT", s)
    d.MultienergyCTAcquisition = "NO"
    return d


def ultrasound():
    d = base("1.2.840.10008.5.1.4.1.1.3.1", "US", TransducerData=f"{MARK}PROBE")
    del d.FrameOfReferenceUID
    d.ImageType, d.LossyImageCompression = ["ORIGINAL", "PRIMARY", "", "0001"], "00"
    d.FrameIncrementPointer, d.FrameTime, d.CineRate = 0x00181063, 40, 25
    d.UltrasoundColorDataPresent, d.PatientOrientation, d.Laterality = 0, ["", ""], ""
    d.SequenceOfUltrasoundRegions = [item(
        RegionSpatialFormat=1, RegionDataType=1, RegionFlags=2, RegionLocationMinX0=1, RegionLocationMinY0=2,
        RegionLocationMaxX1=6, RegionLocationMaxY1=7, PhysicalUnitsXDirection=3, PhysicalUnitsYDirection=3,
        PhysicalDeltaX=0.02, PhysicalDeltaY=0.02, ReferencePixelX0=0, ReferencePixelY0=0, TransducerFrequency=5000)]
    return pixels(d, bits=8, frames=3, samples=3)


# What `pixl config new --modality` is asked for, and the image.
KINDS = {
    "digital x-ray": ("DX", digital_xray), "mammogram": ("xray", mammogram), "PET": ("pet", pet), "RT image": ("RTIMAGE", rt_image),
    "RT dose": ("RTDOSE", rt_dose),
    "enhanced MR": ("mr-diffusion", enhanced_mr), "enhanced CT": ("CT", enhanced_ct),
}
